// A chart of lines over time, drawn by uPlot. Loaded when the first one is shown.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

export interface Line {
  label: string;
  values: (number | null)[];
  /** The name of a CSS variable with the colour. */
  color: string;
}

interface LineChartProps {
  /** What it shows, in words, for those who do not see it. */
  label: string;
  /** Seconds since the Unix epoch. */
  times: number[];
  lines: Line[];
  format: (value: number) => string;
  /** The top of the chart if all values are smaller. */
  top: number;
  height?: number;
}

const MINUTES_15 = 15 * 60;

export function LineChart({ label, times, lines, format, top, height = 110 }: LineChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLParagraphElement>(null);
  const chart = useRef<uPlot | undefined>(undefined);
  const data: uPlot.AlignedData = [times, ...lines.map(({ values }) => values)];
  const latest = useRef(data);
  latest.current = data;
  const shape = lines.map(({ label, color }) => `${label} ${color}`).join();

  useEffect(() => {
    const parent = place.current!;
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const draw = () => {
      chart.current?.destroy();
      const hooks = { setCursor: [(plot: uPlot) => { if (readout.current) readout.current.textContent = pointed(plot, lines, format); }] };
      chart.current = new uPlot({ ...options(parent, lines, format, top, height), hooks }, latest.current, parent);
    };
    draw();
    // Colours are read once, so another scheme needs another chart.
    scheme.addEventListener("change", draw);
    const resized = new ResizeObserver(() => chart.current?.setSize({ width: parent.clientWidth, height }));
    resized.observe(parent);
    return () => {
      scheme.removeEventListener("change", draw);
      resized.disconnect();
      chart.current?.destroy();
      chart.current = undefined;
    };
  }, [shape, height]);
  useEffect(() => chart.current?.setData(data), [times, lines]);
  return (
    <>
      <div ref={place} class="now-chart" role="img" aria-label={label} style={{ minHeight: height }} />
      <p ref={readout} class="now-readout hint" aria-hidden="true" />
    </>
  );
}

/** The values under the pointer. */
function pointed({ data, cursor }: uPlot, lines: Line[], format: (value: number) => string): string {
  const index = cursor.idx;
  const at = index == null ? undefined : data[0][index];
  if (index == null || at === undefined) return "";
  const values = lines.map(({ label }, line) => {
    const value = data[line + 1]?.[index];
    return value == null ? "" : `${label} ${format(value)}`;
  });
  return [clock(at, 8), ...values].filter(Boolean).join(" · ");
}

/** The time of the day: `12:34` with 5 characters, `12:34:56` with 8. */
const clock = (seconds: number, length: number) => new Date(seconds * 1000).toTimeString().slice(0, length);

function options(parent: HTMLElement, lines: Line[], format: (value: number) => string, top: number, height: number): uPlot.Options {
  const style = getComputedStyle(parent);
  // `light-dark()` is resolved only where a property uses it.
  const colorOf = (variable: string) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${variable})`;
    parent.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };
  const faint = colorOf("--faint");
  const grid = { stroke: colorOf("--line"), width: 1 };
  const axis = { stroke: faint, grid, ticks: { show: false }, font: `11px ${style.fontFamily}` };
  return {
    width: parent.clientWidth,
    height,
    padding: [6, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: {
      // Always fifteen minutes, so that a line grows from the right and does not stretch.
      x: { time: true, range: (_, __, max) => [max - MINUTES_15, max] },
      y: { range: (_, __, max) => [0, Math.max(top, (max || 0) * 1.1)] },
    },
    axes: [
      { ...axis, size: 22, values: (_, ticks) => ticks.map((at) => clock(at, 5)) },
      { ...axis, size: 62, space: 28, values: (_, ticks) => ticks.map(format) },
    ],
    series: [
      {},
      ...lines.map(({ label, color }) => ({ label, stroke: colorOf(color), width: 2, points: { show: false } })),
    ],
  };
}
