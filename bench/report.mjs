// @ts-check
/** What the passes say together: medians per server, ratios of neighbours, a table. */

/** @typedef {Record<string, number>} Result what one pass of one server measured */
/** @typedef {Record<string, Result[]>} Results by server, in the order of the passes */

/** @type {Record<string, { label: string, digits: number }>} */
const MEASURES = {
  deliveriesPerSecond: { label: 'deliveries/s', digits: 0 },
  cpuUsPerDelivery: { label: 'CPU per delivery, µs', digits: 2 },
  latencyP50Ms: { label: 'latency p50, ms', digits: 2 },
  latencyP99Ms: { label: 'latency p99, ms', digits: 2 },
  connectsPerSecond: { label: 'connects/s', digits: 0 },
  cpuMsPerJoin: { label: 'CPU per join, ms', digits: 2 },
  joinsPerSecond: { label: 'joins/s', digits: 0 },
  toldMs: { label: 'all others told, ms', digits: 1 },
  snapshotMs: { label: 'list read, ms', digits: 1 },
  snapshotKb: { label: 'list, KB', digits: 0 },
  publishesPerSecond: { label: 'publishes/s', digits: 0 },
  cpuUsPerPublish: { label: 'CPU per publish, µs', digits: 1 },
  idleKbPerConnection: { label: 'idle KB per connection', digits: 1 },
}

const FAULTS = ['missing', 'duplicated', 'reordered', 'closed']

/**
 * @param {Results} results
 * @param {string} baseline
 * @param {string[]} measures
 * @param {string[]} faults
 */
export function summarize(results, baseline, measures, faults = FAULTS) {
  return Object.fromEntries(
    Object.entries(results).map(([server, passes]) => [
      server,
      {
        medians: Object.fromEntries(
          measures.map((measure) => [measure, median(passes.map((pass) => pass[measure] ?? 0))]),
        ),
        // The machine's speed drifts, so each pass is compared with its neighbour, not with the other's median.
        ratios: Object.fromEntries(
          measures.map((measure) => [measure, ratios(passes, results[baseline] ?? [], measure)]),
        ),
        faults: Object.fromEntries(
          faults.map((fault) => [fault, passes.reduce((sum, pass) => sum + (pass[fault] ?? 0), 0)]),
        ),
      },
    ]),
  )
}

/**
 * @param {string} title
 * @param {ReturnType<typeof summarize>} summary
 * @param {string} baseline
 */
export function table(title, summary, baseline) {
  const servers = Object.keys(summary)
  const measures = Object.keys(summary[baseline]?.medians ?? {})
  const faults = Object.keys(summary[baseline]?.faults ?? {})
  const rows = [
    ['', ...servers, ...servers.filter(isOther).map((server) => `${server}/${baseline} (range)`)],
    ...measures.map((measure) => [
      MEASURES[measure]?.label ?? measure,
      ...servers.map((server) => format(summary[server]?.medians[measure] ?? 0, MEASURES[measure]?.digits ?? 2)),
      ...servers.filter(isOther).map((server) => ratioText(summary[server]?.ratios[measure])),
    ]),
    [faults.join('/'), ...servers.map((server) => Object.values(summary[server]?.faults ?? {}).join('/'))],
  ]
  return `${title}\n${align(rows)}\n`

  /** @param {string} server */
  function isOther(server) {
    return server !== baseline
  }
}

/**
 * @param {Result[]} passes
 * @param {Result[]} neighbours
 * @param {string} measure
 */
function ratios(passes, neighbours, measure) {
  const all = passes.map((pass, i) => (pass[measure] ?? 0) / (neighbours[i]?.[measure] || Number.NaN))
  return { median: median(all), lowest: Math.min(...all), highest: Math.max(...all) }
}

/** @param {{ median: number, lowest: number, highest: number } | undefined} ratio */
function ratioText(ratio) {
  return ratio ? `${format(ratio.median, 2)}× (${format(ratio.lowest, 2)}–${format(ratio.highest, 2)})` : ''
}

/** @param {number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/**
 * @param {number} value
 * @param {number} digits
 */
function format(value, digits) {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** @param {string[][]} rows the first column to the left, the others to the right */
function align(rows) {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const pad = (/** @type {string} */ cell, /** @type {number} */ column) =>
    column ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)
  return rows.map((row) => `  ${row.map(pad).join('  ')}`.trimEnd()).join('\n')
}
