// Where all the money is: one bar whose parts add up to the total, and the numbers beside it.

import { basisPoints, big, percent } from "../format.js";
import { live } from "../live.js";
import { useStore } from "../store.js";
import { html, Panel, Skeleton, Stos } from "../ui.js";

const PARTS = [
  ["accounts_wei", "Accounts"],
  ["reserve_wei", "Mining reserve"],
  ["stake_wei", "Stake"],
  ["unbonding_wei", "Unbonding"],
  ["deposits_wei", "Node deposits"],
  ["prepaid_wei", "Prepaid traffic"],
  ["rewards_wei", "Rewards to withdraw"],
  ["community_wei", "Community"],
  ["governance_wei", "Proposals"],
  ["burned_wei", "Burned"],
];

export function Supply() {
  const supply = useStore(live, (state) => state.status?.supply);
  if (!supply) return html`<${Panel} title="Supply"><${Skeleton} rows=${4} /><//>`;
  const sum = PARTS.reduce((total, [name]) => total + (big(supply[name]) ?? 0n), 0n);
  const whole = sum === big(supply.total_wei);
  return html`<${Panel} title="Supply" note=${html`<${Stos} wei=${supply.total_wei} /> in all${whole ? ", and the parts add up to it" : ""}`}>
    ${!whole && html`<p class="alarm" role="alert">The parts add up to <${Stos} wei=${sum} />, which is not the total.</p>`}
    <div class="supply-bar" aria-hidden="true">${PARTS.map(([name], index) => html`<i key=${name} class="shade-${index}" style=${{ flexGrow: basisPoints(supply[name], sum) }}></i>`)}</div>
    <dl class="supply">${PARTS.map(([name, title], index) => html`<div key=${name}><dt><i class="swatch shade-${index}"></i>${title}</dt><dd><${Stos} wei=${supply[name]} /><span class="muted num">${percent(supply[name], sum)}</span></dd></div>`)}</dl>
  <//>`;
}
