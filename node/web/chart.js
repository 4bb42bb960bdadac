// The chart of epochs: bytes carried above, rewards below, one cursor through both.

import { bytes, plotted, stos } from "./format.js";
import { go } from "./router.js";
import { html } from "./ui.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import uPlot from "./vendor/uplot.js";

const AXIS_WIDTH = 74;
const SYNC = uPlot.sync("epochs");
const DARK = matchMedia("(prefers-color-scheme: dark)");

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axisStos(value) {
  if (value === 0) return "0";
  return value >= 1e6 ? `${+(value / 1e6).toPrecision(3)}M` : value >= 1e-4 ? String(+value.toPrecision(3)) : `${+(value * 1e9).toPrecision(3)} gwei`;
}

function options({ clientWidth, clientHeight }, series, axisText, onHover) {
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: color("--muted"), font, ticks: { show: false } };
  return {
    width: clientWidth,
    height: clientHeight,
    padding: [8, 4, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: SYNC.key, setSeries: false }, y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: { x: { time: false, range: (_, min, max) => [min - 0.6, max + 0.6] }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], space: 44 },
      { ...axis, grid: { stroke: color("--line"), width: 1 }, size: AXIS_WIDTH, space: 36, values: (_, values) => values.map(axisText) },
    ],
    series: [{}, ...series.map(({ fill }) => ({ fill: color(fill), stroke: color(fill), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.72, 34], radius: 0.14 }) }))],
    hooks: { setCursor: [(plot) => onHover(plot.cursor.idx)] },
  };
}

/** One chart of bars; later series are drawn over earlier ones, so a stack gives its sum first. */
function Bars({ data, series, axisText, onHover, onPick, label }) {
  const place = useRef(null);
  const plot = useRef(null);
  const latest = useRef(data);
  latest.current = data;
  const pick = useRef(onPick);
  pick.current = onPick;

  useEffect(() => {
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(place.current, series, axisText, onHover), latest.current, place.current);
      plot.current.over.addEventListener("click", () => plot.current.cursor.idx !== null && pick.current(plot.current.cursor.idx));
    };
    draw();
    const size = new ResizeObserver(() => place.current && plot.current.setSize({ width: place.current.clientWidth, height: place.current.clientHeight }));
    size.observe(place.current);
    DARK.addEventListener("change", draw);
    return () => {
      size.disconnect();
      DARK.removeEventListener("change", draw);
      plot.current.destroy();
    };
  }, []);
  useEffect(() => plot.current.setData(data), [data]);
  return html`<div ref=${place} class="chart" role="img" aria-label=${label}></div>`;
}

const BYTES = (value) => bytes(Math.round(value));
const TRAFFIC = [{ fill: "--accent" }];
const REWARDS = [{ fill: "--accent-soft" }, { fill: "--accent" }];

/** `epochs` newest first, as the interface gives them. */
export function EpochChart({ epochs }) {
  const [hovered, setHovered] = useState(null);
  const ordered = epochs.toReversed();
  const numbers = ordered.map((epoch) => epoch.epoch);
  const traffic = ordered.map((epoch) => plotted(epoch.charged_noz, 0));
  const fees = ordered.map((epoch) => plotted(epoch.traffic_reward_wei, 18));
  const sums = ordered.map((epoch, index) => fees[index] + plotted(epoch.mining_reward_wei, 18));
  const shown = ordered[hovered ?? ordered.length - 1] ?? ordered.at(-1);
  const pick = (index) => go("epoch", ordered[index].epoch);
  return html`<div class="epoch-chart">
    <p class="legend"><span class="legend-when">Epoch <b class="num">${shown.epoch}</b></span><span><i class="swatch"></i>carried <b class="num">${bytes(shown.charged_noz)}</b></span></p>
    <${Bars} data=${[numbers, traffic]} series=${TRAFFIC} axisText=${BYTES} onHover=${(index) => setHovered(index ?? null)} onPick=${pick} label=${`Bytes carried in each of the last ${epochs.length} epochs`} />
    <p class="legend"><span class="legend-when">Rewards</span><span><i class="swatch"></i>traffic <b class="num">${stos(shown.traffic_reward_wei)}</b></span><span><i class="swatch soft"></i>mining <b class="num">${stos(shown.mining_reward_wei)}</b></span></p>
    <${Bars} data=${[numbers, sums, fees]} series=${REWARDS} axisText=${axisStos} onHover=${(index) => setHovered(index ?? null)} onPick=${pick} label=${`Rewards in each of the last ${epochs.length} epochs`} />
  </div>`;
}
