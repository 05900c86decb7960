import { type ErrorCode, errorCodes } from '../src/base/error-codes.ts'

/** The page docs/errors.md. */
export function errorPage(): string {
  const rows = (Object.keys(errorCodes) as ErrorCode[]).map(code => {
    const { number, outcome, retry, summary, remedy } = errorCodes[code]
    const effect = outcome === 'not-done' ? 'certainly none' : 'unknown'
    return `| \`${code}\` | ${number} | ${summary} | ${remedy} | ${effect} | ${retry ? 'yes' : 'no'} |`
  })
  return `${head}${rows.join('\n')}\n`
}

const head = `# Error codes

Every error of a ringset process or SDK has one of these codes; compare the code, never the text. The number is what travels in packets and is never
used again. **Effect** says what a caller may conclude: *certainly none*, or *unknown*, and then the request must be repeated with the same
message id. **Retry** says whether the same request, unchanged, may succeed later. \`ringset explain CODE\` prints one of them; this
page is printed by \`ringset explain --markdown\`.

| code | number | meaning | what to do | effect | retry |
|---|---|---|---|---|---|
`
