// Figures of the traffic, each with its last fifteen minutes as a chart.

import { lazy, Suspense } from "preact/compat";
import { useMemo } from "preact/hooks";
import { digits, dollars, duration, percent } from "../format.ts";
import type { Traffic } from "./traffic.ts";
import type { TrafficPoint } from "./traffic_history.ts";

const LineChart = lazy(() => import("./line_chart").then(
  (module) => module.LineChart,
  // The figures are there without their charts.
  () => () => <div class="now-chart" />,
));

/** A line of a chart: its name, its colour, and its value in a time; undefined if there is none. */
interface LineOf {
  label: string;
  color: string;
  of: (traffic: Traffic) => number | undefined;
}

export interface Figure {
  title: string;
  /** The current value. */
  value: (traffic: Traffic) => string;
  lines: LineOf[];
  format: (value: number) => string;
  /** The top of the chart if all values are smaller. */
  top: number;
}

const perSecond = (value: number) => `${digits(value, 3)} /s`;
const perMinute = (micros: number) => `${dollars(micros)} /min`;
const ratio = (part: number, all: number) => (all > 0 ? part / all : 0);

export const GATEWAY_FIGURES: Figure[] = [
  {
    title: "Requests",
    value: ({ requests, seconds }) => perSecond(requests / seconds),
    lines: [{ label: "requests", color: "--accent", of: ({ requests, seconds }) => requests / seconds }],
    format: (value) => digits(value, 3),
    top: 1,
  },
  {
    title: "Latency",
    value: ({ p50, p95 }) => (p50 === undefined || p95 === undefined ? "–" : `${duration(p50)} · ${duration(p95)}`),
    lines: [
      { label: "p50", color: "--accent", of: ({ p50 }) => p50 },
      { label: "p95", color: "--warn", of: ({ p95 }) => p95 },
    ],
    format: duration,
    top: 100,
  },
  {
    title: "Failures",
    value: ({ failed, requests }) => percent(ratio(failed, requests)),
    lines: [{ label: "failures", color: "--bad", of: ({ failed, requests }) => ratio(failed, requests) }],
    format: percent,
    top: 0.1,
  },
  {
    title: "Fallbacks",
    value: ({ fallbacks, requests }) => percent(ratio(fallbacks, requests)),
    lines: [{ label: "fallbacks", color: "--warn", of: ({ fallbacks, requests }) => ratio(fallbacks, requests) }],
    format: percent,
    top: 0.1,
  },
  {
    title: "Cost",
    value: ({ cost, seconds }) => perMinute((cost / seconds) * 60),
    lines: [{ label: "cost", color: "--accent", of: ({ cost, seconds }) => (cost / seconds) * 60 }],
    format: (micros) => dollars(micros),
    top: 1_000,
  },
];

/** The same of one deployment. */
export function deploymentFigures(name: string): Figure[] {
  const own = (traffic: Traffic) => traffic.deployments.get(name);
  return [
    {
      title: "Attempts",
      value: (traffic) => perSecond((own(traffic)?.attempts ?? 0) / traffic.seconds),
      lines: [{ label: "attempts", color: "--accent", of: (traffic) => (own(traffic)?.attempts ?? 0) / traffic.seconds }],
      format: (value) => digits(value, 3),
      top: 1,
    },
    {
      title: "Share of all attempts",
      value: (traffic) => percent(own(traffic)?.share ?? 0),
      lines: [{ label: "share", color: "--accent", of: (traffic) => own(traffic)?.share ?? 0 }],
      format: percent,
      top: 1,
    },
    {
      title: "Time of an attempt",
      value: (traffic) => {
        const { p50, p95 } = own(traffic) ?? {};
        return p50 === undefined || p95 === undefined ? "–" : `${duration(p50)} · ${duration(p95)}`;
      },
      lines: [
        { label: "p50", color: "--accent", of: (traffic) => own(traffic)?.p50 },
        { label: "p95", color: "--warn", of: (traffic) => own(traffic)?.p95 },
      ],
      format: duration,
      top: 100,
    },
    {
      title: "Failed attempts",
      value: (traffic) => percent(ratio(own(traffic)?.failed ?? 0, own(traffic)?.attempts ?? 0)),
      lines: [{ label: "failed", color: "--bad", of: (traffic) => ratio(own(traffic)?.failed ?? 0, own(traffic)?.attempts ?? 0) }],
      format: percent,
      top: 0.1,
    },
    {
      title: "Cost",
      value: (traffic) => perMinute(((own(traffic)?.cost ?? 0) / traffic.seconds) * 60),
      lines: [{ label: "cost", color: "--accent", of: (traffic) => ((own(traffic)?.cost ?? 0) / traffic.seconds) * 60 }],
      format: (micros) => dollars(micros),
      top: 1_000,
    },
  ];
}

interface FiguresProps {
  figures: Figure[];
  traffic: Traffic | undefined;
  points: readonly TrafficPoint[];
}

export function Figures({ figures, traffic, points }: FiguresProps) {
  const latest = points.at(-1)?.at;
  const drawn = useMemo(
    () => ({
      times: points.map(({ at }) => at / 1000),
      lines: figures.map(({ lines }) =>
        lines.map(({ label, color, of }) => ({
          label,
          color,
          values: points.map(({ traffic }) => (traffic && of(traffic)) ?? null),
        })),
      ),
    }),
    [latest, figures],
  );
  return (
    <div class="now-figures">
      {figures.map((figure, index) => {
        const value = traffic ? figure.value(traffic) : "–";
        return (
          <section key={figure.title} class="panel now-figure">
            <h3>
              {figure.title}
              {figure.lines.length > 1 && figure.lines.map(({ label, color }) => (
                <span key={label} class="now-key" style={{ color: `var(${color})` }}>{label}</span>
              ))}
            </h3>
            <p class="now-value">{value}</p>
            {/* The library is loaded when there is something to draw, so that states are not behind it. */}
            {points.length === 0 ? (
              <div class="now-chart" />
            ) : (
              <Suspense fallback={<div class="now-chart" />}>
                <LineChart label={`${figure.title}, the last 15 minutes: now ${value}`} times={drawn.times} lines={drawn.lines[index]!} format={figure.format} top={figure.top} />
              </Suspense>
            )}
          </section>
        );
      })}
    </div>
  );
}
