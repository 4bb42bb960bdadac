// How numbers, times and hashes are written for people. Amounts stay BigInt: 10^18 wei do not fit a double. Everything rounds down.

const WEI_DECIMALS = 18;
const NOZ_DECIMALS = 9;
const NOTHING = "–";

/** The integer in a decimal string or number, or `null` when there is none. */
export function big(value) {
  try {
    return value === null || value === undefined || value === "" ? null : BigInt(value);
  } catch {
    return null;
  }
}

/** `1234567` as `1,234,567`. */
export function count(value) {
  const number = big(value);
  return number === null ? NOTHING : group(number.toString());
}

function group(digits) {
  return digits.replace(/\B(?=(\d{3})+$)/g, ",");
}

// How many decimals help a reader: none beside a large whole part, four significant digits below one.
function decimalsFor(whole, fraction) {
  if (whole >= 100_000n) return 0;
  if (whole >= 100n) return 2;
  if (whole >= 1n) return 4;
  return fraction.match(/^0*/)[0].length + 4;
}

function scaled(value, decimals) {
  const unit = 10n ** BigInt(decimals);
  const whole = value / unit;
  const fraction = (value % unit).toString().padStart(decimals, "0");
  const kept = fraction.slice(0, decimalsFor(whole, fraction)).replace(/0+$/, "");
  return group(whole.toString()) + (kept ? `.${kept}` : "");
}

/** Wei as `{ text, unit, exact }`: in stos, or in wei when it is less than a billionth of a stos. */
export function stosParts(wei) {
  const value = big(wei);
  if (value === null) return { text: NOTHING, unit: "", exact: "" };
  const exact = `${group(value.toString())} wei`;
  if (value > 0n && value < 10n ** 9n) return { text: group(value.toString()), unit: "wei", exact };
  return { text: scaled(value, WEI_DECIMALS), unit: "stos", exact };
}

export function stos(wei) {
  const { text, unit } = stosParts(wei);
  return unit ? `${text} ${unit}` : text;
}

/** Noz as `{ text, unit, exact }`: in oz (one oz moves one gigabyte), or in noz when it is less than a thousandth. */
export function ozoneParts(noz) {
  const value = big(noz);
  if (value === null) return { text: NOTHING, unit: "", exact: "" };
  const exact = `${group(value.toString())} noz`;
  if (value > 0n && value < 10n ** 6n) return { text: group(value.toString()), unit: "noz", exact };
  return { text: scaled(value, NOZ_DECIMALS), unit: "oz", exact };
}

/** Wei per noz as stos per oz, which is stos per gigabyte moved. */
export function priceParts(weiPerNoz) {
  const value = big(weiPerNoz);
  return value === null ? { text: NOTHING, unit: "", exact: "" } : stosParts(value * 10n ** BigInt(NOZ_DECIMALS));
}

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/** Bytes in decimal units with three significant digits: `104 MB`. Decimal, so that one GB costs one oz. */
export function bytes(value) {
  const number = big(value);
  if (number === null) return NOTHING;
  let power = 0;
  while (power < BYTE_UNITS.length - 1 && number >= 1000n ** BigInt(power + 1)) power += 1;
  const unit = 1000n ** BigInt(power);
  const hundredths = (number * 100n) / unit;
  const decimals = power === 0 || hundredths >= 10_000n ? 0 : hundredths >= 1000n ? 1 : 2;
  const text = (Number(hundredths) / 100).toFixed(2).slice(0, decimals === 0 ? -3 : decimals === 1 ? -1 : undefined);
  return `${decimals ? text.replace(/\.?0+$/, "") : group(text)} ${BYTE_UNITS[power]}`;
}

/** `part` of `whole` in hundredths of a percent, from any integers; 0 when the whole is 0. */
export function basisPoints(part, whole) {
  const [a, b] = [big(part), big(whole)];
  return a === null || b === null || b <= 0n ? 0 : Number((a * 10_000n) / b);
}

/** Basis points as a percentage, exact: `33.33 %`. */
export function points(value) {
  return value === undefined || value === null ? NOTHING : `${value / 100} %`;
}

/** The voting power of somebody with a vote: a small one is not none. */
export function power({ power_bp: part }) {
  return part === 0 ? "< 0.01 %" : points(part);
}

/** `part` of `whole` as a percentage for people. */
export function percent(part, whole) {
  const points = basisPoints(part, whole);
  if (points === 0) return (big(part) ?? 0n) > 0n ? "< 0.01 %" : "0 %";
  return `${points >= 1000 ? Math.floor(points / 100) : points / 100} %`;
}

/** A drawing coordinate from a large integer, in units of 10^decimals. For pixels only: a double keeps 15 digits. */
export function plotted(value, decimals) {
  return Number(big(value) ?? 0n) / 10 ** decimals;
}

/** The age of a moment: `just now`, `12 s ago`, `5 min ago`, `3 h ago`, or the date. */
export function age(time, now) {
  if (!time) return NOTHING;
  const seconds = Math.max(0, Math.floor((now - time) / 1000));
  if (seconds < 1) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(time).toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
}

/** The moment in full, in the reader's time zone. */
export function moment(time) {
  return time ? new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }) : NOTHING;
}

/** The ends of a hash or address, enough to recognise it. */
export function brief(text, head = 8, tail = 6) {
  const whole = String(text ?? "");
  return whole.length <= head + tail + 1 ? whole : `${whole.slice(0, head)}…${whole.slice(-tail)}`;
}

/** A field name of the interface as words: `released_wei` is `released`. */
export function words(name) {
  return String(name).replace(/_(wei|noz|ms|bytes)$/, "").replace(/[_-]+/g, " ");
}

/** The same with a capital letter in front. */
export function capital(text) {
  const whole = String(text ?? "");
  return whole.charAt(0).toUpperCase() + whole.slice(1);
}

/** What a browser can show of a media type: `video`, `audio`, `image`, or `null`. */
export function playable(type) {
  const kind = String(type ?? "").split("/")[0];
  return ["video", "audio", "image"].includes(kind) ? kind : null;
}
