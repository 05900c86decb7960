import type { ChaosReport } from './report.ts'
import type { ReportCheck } from './report-checks.ts'
import { counted, duration, escaped, grouped, table } from './report-html.ts'
import { faultText, meanings } from './report-words.ts'

const known = (ms: number | null): string => (ms === null ? 'never' : duration(ms))

export function checksTable(checks: readonly ReportCheck[]): string {
  const rows = checks.map(({ name, ok, detail, examples }) => {
    const mark = ok === true ? 'pass' : ok === false ? 'fail' : 'unknown'
    return [
      `<span class="mark ${mark}">${mark}</span>`,
      `<b>${escaped(name)}</b><p>${escaped(meanings[name] ?? '')}</p>`,
      `${escaped(detail)}${list(examples)}`
    ]
  })
  return table([{ title: 'verdict' }, { title: 'check' }, { title: 'seen' }], rows, 'checks')
}

function list(texts: readonly string[]): string {
  if (texts.length === 0) return ''
  return `<ul>${texts.map(text => `<li>${escaped(text)}</li>`).join('')}</ul>`
}

export function worstTable({ worst, faults }: ChaosReport): string {
  if (worst.length === 0) return '<p>Nobody sent anything.</p>'
  const rows = worst.map(({ number, session, due, ackMs, deliveryMs, path, faults: during }) => {
    const hops = path
      .map((hop, i) => `<span>${i === 0 ? '' : '→ '}${escaped(hop)}</span>`)
      .join(' ')
    const seen = during.slice(0, 3).map(i => `${i + 1}: ${faultText(faults[i]!)}`)
    if (during.length > seen.length) seen.push(`and ${during.length - seen.length} more`)
    return [
      due.toFixed(1),
      known(ackMs),
      known(deliveryMs),
      `<div class="path">${hops}</div><p>message ${number} of ${escaped(session)}</p>`,
      escaped(seen.join('; '))
    ]
  })
  return table(
    [
      { title: 'due at s', number: true },
      { title: 'acknowledged', number: true },
      { title: 'delivered', number: true },
      { title: 'its path' },
      { title: 'faults meanwhile' }
    ],
    rows
  )
}

export function recoveryTable({ recoveryMs }: ChaosReport): string {
  const rows = Object.entries(recoveryMs).flatMap(([action, times]) => {
    const { detected, elected, converged, firstAck, firstDelivery, fullRate } = times
    const all = [
      ['the leader is missed', detected],
      ['another leader is seen', elected],
      ['all others follow it', converged],
      ['a message is acknowledged', firstAck],
      ['a message is delivered', firstDelivery],
      ['95 % of the usual rate', fullRate]
    ] as const
    return all
      .filter(([, { count }]) => count > 0)
      .map(([what, { count, p50Ms, p99Ms, maxMs }]) => {
        const figures = [p50Ms, p99Ms, maxMs].map(duration)
        return [`<b>${escaped(action)}</b>`, what, grouped(count), ...figures]
      })
  })
  if (rows.length === 0) return '<p>No fault touched a set.</p>'
  return table(
    [
      { title: 'after' },
      { title: 'until' },
      { title: 'seen', number: true },
      { title: 'p50', number: true },
      { title: 'p99', number: true },
      { title: 'longest', number: true }
    ],
    rows
  )
}

export function faultTable(report: ChaosReport): string {
  const { faults, recoveries } = report
  if (faults.length === 0) return '<p>There was none.</p>'
  const rows = faults.map((fault, i) => {
    const texts = recoveries
      .filter(recovery => recovery.fault === i)
      .map(({ set, detectedMs, electedMs, convergedMs, firstAckMs, firstDeliveryMs }) => {
        const noticed = detectedMs === null ? '' : `noticed after ${duration(detectedMs)}, `
        const followed = convergedMs === null ? '' : `followed after ${duration(convergedMs)}, `
        const elected = electedMs === null ? '' : `leader after ${duration(electedMs)}, `
        const led = noticed + elected + followed
        return `<b>${escaped(set)}</b> ${led}acknowledges after ${known(firstAckMs)}, delivers after ${known(firstDeliveryMs)}`
      })
    const { action, target, from, to } = fault
    const what = `<b>${escaped(faultText(fault))}</b><p>${escaped([action, target].filter(word => word !== '').join(', '))}</p>`
    return [
      `${i + 1}`,
      from.toFixed(1),
      (to - from).toFixed(1),
      what,
      texts.join('<br>') || 'no set'
    ]
  })
  return table(
    [
      { title: 'no.', number: true },
      { title: 'at s', number: true },
      { title: 'for s', number: true },
      { title: 'what was done' },
      { title: 'who noticed' }
    ],
    rows
  )
}

export function operationsTable({ operations }: ChaosReport): string {
  if (operations.length === 0) return ''
  const rows = operations.map(({ action, text, ok }) => {
    const mark = ok ? '<span class="mark pass">done</span>' : '<span class="mark">refused</span>'
    return [mark, `<b>${escaped(action)}</b>`, escaped(text)]
  })
  return `<h2>Operations</h2>
${table([{ title: 'outcome' }, { title: 'operation' }, { title: 'in words' }], rows)}`
}

export function errorsLine({ messages: { errors } }: ChaosReport): string {
  const texts = Object.entries(errors).map(([code, times]) => `${code} ${counted(times, 'time')}`)
  return texts.length === 0
    ? '<p>No operation of a user or a backend ended in an error.</p>'
    : `<p>Operations of users or backends that ended in an error: ${escaped(texts.join(', '))}.</p>`
}
