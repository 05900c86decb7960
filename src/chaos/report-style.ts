/** Of the whole page, for light and dark, wide and narrow, and paper. */
export const pageStyle = `
:root{color-scheme:light dark;--ink:#1b1f27;--soft:#5a6270;--line:#d8dce3;--ground:#fff;--card:#f4f5f8;
--band:#e0a53840;--edge:#b97f12;--pass:#1d7a46;--fail:#b3261e;--unknown:#8a6100;
--due:#8a93a1;--acked:#2563ab;--delivered:#1f8a55;--slowest:#c2410c;
--wait-0:#d5e8dc;--wait-1:#f3e6a8;--wait-2:#f2bf6b;--wait-3:#d9622b;--wait-4:#7b1e5a;--never:#1b1f27}
@media(prefers-color-scheme:dark){:root{--ink:#e7e9ee;--soft:#a2abb9;--line:#363c47;--ground:#14171c;--card:#1e222a;
--band:#e0a53833;--edge:#d9a441;--pass:#2a8f58;--fail:#c83f36;--unknown:#9a6f00;
--due:#7d8796;--acked:#6ea8ee;--delivered:#5cc98d;--slowest:#f2854c;
--wait-0:#2a4a38;--wait-1:#6b6123;--wait-2:#9a6b1d;--wait-3:#d9622b;--wait-4:#c04a97;--never:#f5f6f8}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:1072px;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}
h1{margin:0;font-size:1.7rem;line-height:1.2}h2{margin:2.4rem 0 .5rem;font-size:1.2rem}p{margin:.2rem 0}
.proves,.about,td p{color:var(--soft)}.about{margin-bottom:.6rem}td p{font-size:.85rem}
.verdict{display:flex;gap:1rem;align-items:center;margin:1.2rem 0;padding:.8rem 1rem;border-radius:.5rem;background:var(--card);border-left:.4rem solid var(--state)}
.verdict>b{font-size:1.1rem;text-transform:uppercase;color:#fff;background:var(--state);padding:.2rem .8rem;border-radius:.3rem}.verdict p:first-child{font-weight:600}
.pass{--state:var(--pass)}.fail{--state:var(--fail)}.unknown{--state:var(--unknown)}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:.7rem 1.2rem;margin:1.2rem 0}.facts dt{color:var(--soft);font-size:.8rem}.facts dd{margin:0;font-weight:600}
svg.wide,svg.narrow{display:block;width:100%;height:auto}svg.narrow{display:none}
svg text{font-size:11px;fill:var(--soft)}svg .title{font-size:13px;font-weight:600;fill:var(--ink)}svg .mark{text-anchor:end}svg .tick,svg .fault{text-anchor:middle}
svg .fault{font-weight:700;fill:var(--edge)}svg .inside{fill:#fff}
.grid{stroke:var(--line)}.band{fill:var(--band)}.edge{stroke:var(--edge);stroke-opacity:.55}.end{stroke:var(--soft);stroke-dasharray:3 3}.epoch{stroke:var(--ink);stroke-width:1.5}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}.line.due{stroke:var(--due);stroke-width:1.2}.line.acked{stroke:var(--acked)}.line.delivered{stroke:var(--delivered);stroke-dasharray:5 3}.line.slowest{stroke:var(--slowest)}
.node-0{fill:#2f5d9e}.node-1{fill:#7a4a94}.node-2{fill:#2b7468}.node-3{fill:#8f5520}.node-4{fill:#5a6270}
.nobody{fill:var(--fail)}.wait-0{fill:var(--wait-0)}.wait-1{fill:var(--wait-1)}.wait-2{fill:var(--wait-2)}.wait-3{fill:var(--wait-3)}.wait-4{fill:var(--wait-4)}.wait-never{fill:var(--never)}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;color:var(--soft);font-size:.85rem;margin:.5rem 0}.item{display:inline-flex;align-items:center;gap:.4rem}.swatch{width:16px;height:11px;outline:1px solid var(--line)}
table{border-collapse:collapse;width:100%;margin:.6rem 0}th,td{text-align:left;vertical-align:top;padding:.4rem .9rem .4rem 0;border-bottom:1px solid var(--line)}th{color:var(--soft);font-size:.8rem}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.mark{display:inline-block}span.mark{min-width:5.4rem;white-space:nowrap;text-align:center;border-radius:.3rem;padding:0 .5rem;font-size:.85rem;font-weight:600;border:1px solid var(--state,var(--line));color:var(--state,var(--soft))}
span.mark.fail,span.mark.unknown{color:#fff;background:var(--state)}
table.checks td:first-child{width:7rem}table.checks td:nth-child(2){width:45%}.path span{display:inline-block;margin-right:.3rem}ul{margin:.3rem 0;padding-left:1.2rem;font-size:.85rem}footer{margin:2.5rem 0;color:var(--soft);font-size:.85rem}
@media(max-width:640px){body{margin:1rem auto}svg.wide{display:none}svg.narrow{display:block}.verdict{flex-direction:column;align-items:flex-start;gap:.4rem}
.facts{grid-template-columns:1fr 1fr}thead{display:none}table,tbody,tr,td{display:block}tr{border-bottom:1px solid var(--line);padding:.5rem 0}
td{display:flex;gap:.8rem;border:0;padding:.1rem 0}td[data-empty],table.checks td::before{display:none}.checks tr{display:grid;grid-template-columns:1fr auto;gap:.2rem .8rem}table.checks td:first-child{grid-area:1/2;width:auto}table.checks td:nth-child(2){grid-area:1/1;width:auto}table.checks td:nth-child(3){grid-column:1/3}td::before{content:attr(data-column);flex:0 0 6.2rem;color:var(--soft);font-size:.8rem}.number{text-align:left;white-space:normal}}
@media print{body{max-width:none;margin:0}tr{break-inside:avoid}}
`
