"""The page's look: light and dark, from 320 pixels to paper. One string, whose hash the page's policy names."""

from __future__ import annotations

STYLE = (
    """
:root{color-scheme:light dark;--bg:#fafaf7;--fg:#1b1d20;--dim:#565b63;--line:#d5d7db;--card:#fff;--link:#0b57a4;
--ka:#cfe3f6;--kp:#f8eab5;--kr:#f6bdb4;--ke:#fbd9b6;--k0:#dfdfdf;--kc:#ddd6f1;--kn:#fff;
--fa:#3f87c6;--fp:#d6a90c;--fr:#c6372c;--fe:#e58e3e;--f0:#8c8c8c;--fc:#8370bb;--fn:#c4c4c4;
--good:#17632f;--bad:#9d1c12;--odd:#6a3d00;--band:#e8ebef;--add:#d3f0d6;--del:#fbdcd8;--tint:11,87,164}
@media (prefers-color-scheme:dark){:root{--bg:#15171a;--fg:#e9e9e5;--dim:#a8adb5;--line:#383c42;--card:#1d2024;
--link:#8cc3ff;--ka:#1c3d5a;--kp:#4d4210;--kr:#6b231c;--ke:#63401a;--k0:#3c3f43;--kc:#3d3460;--kn:#1d2024;
--fa:#5aa2e0;--fp:#e0bb3a;--fr:#ea6a5e;--fe:#f0a45e;--f0:#9a9a9a;--fc:#a291d8;--fn:#565a60;
--good:#8fdca5;--bad:#ff9f95;--odd:#f0c27a;--band:#2a2e34;--add:#1f4526;--del:#5a2621;--tint:140,195,255}}
*{box-sizing:border-box}
html{font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;background:var(--bg);color:var(--fg);
-webkit-text-size-adjust:100%;scroll-padding-top:3rem}
body{margin:0 auto;max-width:76rem;padding:0 1rem 4rem;overflow-wrap:anywhere}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
h1{font-size:1.6rem;line-height:1.2;margin:.25rem 0;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:3rem 0 .5rem;border-top:2px solid var(--fg);padding-top:.5rem}
h3{font-size:1rem;margin:1.25rem 0 .25rem;overflow-wrap:anywhere}
h4,h5{font-size:.875rem;margin:.5rem 0 .25rem;overflow-wrap:anywhere}
h5{color:var(--dim);font-weight:600}
p{margin:.35rem 0;max-width:46rem}
.dim,.from,figcaption,caption{color:var(--dim)}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:1rem;background:var(--card);padding:.5rem;z-index:3}
.meta{color:var(--dim);overflow-wrap:anywhere}
.made-up{background:var(--fg);color:var(--bg);font-weight:700;text-align:center;padding:.35rem;margin:0 -1rem;
position:sticky;top:0;z-index:2;max-width:none}
.note{border-left:4px solid var(--odd);padding:.1rem .75rem;color:var(--odd)}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;padding:0;margin:.75rem 0;list-style:none}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,22rem),1fr));gap:1rem}
.card{background:var(--card);border:1px solid var(--line);border-top:5px solid var(--odd);padding:.75rem 1rem;
border-radius:4px;min-width:0;overflow-wrap:anywhere}
.card.difference{border-top-color:var(--bad)}
.card.no_difference_larger_than{border-top-color:var(--good)}
.card h3{margin:.1rem 0}
.badge{font-weight:700;font-size:.8rem;letter-spacing:.05em;text-transform:uppercase;color:var(--odd);margin:0}
.difference .badge{color:var(--bad)}
.no_difference_larger_than .badge{color:var(--good)}
.card p{font-size:.9rem}
.card .says{font-size:1rem}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.875rem;margin:.5rem 0;font-variant-numeric:tabular-nums}
caption{text-align:left;font-size:.875rem;padding-bottom:.35rem}
th,td{padding:.25rem .5rem;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600}
thead th{vertical-align:bottom}
table{overflow-wrap:break-word}td{max-width:36rem}
.n{text-align:right;white-space:nowrap}
.plot{min-width:6rem;width:100%;padding-top:.2rem}
td:has(.plot){min-width:8rem;width:40%}
tbody th{white-space:nowrap;max-width:16rem;overflow:hidden;text-overflow:ellipsis}
.card table{font-size:.8rem;width:100%}.card th,.card td{padding:.15rem .3rem}.card td:has(.plot){min-width:4rem}
svg{display:block;width:100%}
svg.bar{height:.5rem}
svg.whisker{height:1rem}
.axis{fill:var(--line)}.zero{fill:var(--dim)}
.range{fill:var(--fa)}.point{fill:var(--fg)}.band{fill:var(--band)}
rect.ka{fill:var(--fa)}rect.kp{fill:var(--fp)}rect.kr{fill:var(--fr)}rect.ke{fill:var(--fe)}
rect.k0{fill:var(--f0)}rect.kc{fill:var(--fc)}rect.kn{fill:var(--fn)}
td.ka,b.ka{background:var(--ka)}td.kp,b.kp{background:var(--kp)}td.kr,b.kr{background:var(--kr)}
td.ke,b.ke{background:var(--ke)}td.k0,b.k0{background:var(--k0)}td.kc,b.kc{background:var(--kc)}
td.kn,b.kn{background:var(--kn)}td.kn{outline:1px dashed var(--dim);outline-offset:-3px}
b.kn{border:1px dashed var(--dim)}
b.k{padding:0 .4rem;border-radius:3px;font-weight:600;font-size:.8rem;white-space:nowrap}
.legend{display:flex;flex-wrap:wrap;gap:.35rem .9rem;padding:0;list-style:none;font-size:.875rem}
.heat{border-collapse:separate;border-spacing:1px}
.heat td{text-align:center;border:0;padding:.15rem .3rem;min-width:2.2rem;font-size:.8rem;white-space:nowrap}
.heat thead th{text-align:center;font-size:.8rem;border:0}
.heat tbody th{position:sticky;left:0;background:var(--bg);max-width:11rem;overflow:hidden;text-overflow:ellipsis;
white-space:nowrap;font-weight:400;border:0;z-index:1}
.heat .edge{border-left:3px solid var(--bg)}
"""
    + "".join(f".s{n}{{background:rgba(var(--tint),{n * 0.045:.3f})}}" for n in range(11))
    + """
.filters{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:end;background:var(--card);padding:.6rem .8rem;
border:1px solid var(--line);border-radius:4px;position:sticky;top:0;z-index:1}
.made-up~main .filters{top:2.2rem}
.filters[hidden]{display:none}
.filters label{display:grid;font-size:.8rem;color:var(--dim);min-width:0}
.filters .tick{display:flex;gap:.4rem;align-items:center}
select,button{font:inherit;font-size:.875rem;color:inherit;background:var(--bg);border:1px solid var(--dim);
border-radius:4px;padding:.25rem .5rem;max-width:min(16rem,80vw)}
.q{border-bottom:1px solid var(--line);content-visibility:auto;contain-intrinsic-size:auto 3rem}
.q>summary{padding:.5rem 0;cursor:pointer}
.q>summary h3{display:inline;margin:0}
.q>summary svg{width:calc(100% - 1rem);max-width:20rem;margin:.3rem 0 0 1rem}
.asked{font-size:1rem;white-space:pre-wrap;overflow-wrap:anywhere}
.side{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,17rem),1fr));gap:1rem}
.g{min-width:0}
article{background:var(--card);border:1px solid var(--line);border-radius:4px;padding:.4rem .6rem;margin:0 0 .5rem;
overflow:hidden}
article summary,.more>summary{cursor:pointer;font-size:.8rem;color:var(--dim)}
article summary b{color:var(--fg)}
.t{white-space:pre-wrap;overflow-wrap:anywhere;margin:.35rem 0 0;font-size:.9rem;unicode-bidi:isolate;
max-width:none}
.from{font-size:.8rem;overflow-wrap:anywhere}
ins{background:var(--add);text-decoration:underline;text-decoration-thickness:1px}
del{background:var(--del);font-size:.9em}
.plain ins{background:none;text-decoration:none}.plain del{display:none}
[hidden]{display:none!important}
code,pre{font:.85rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
pre{background:var(--card);border:1px solid var(--line);padding:.6rem .8rem;white-space:pre-wrap;border-radius:4px}
dl{display:grid;grid-template-columns:minmax(6rem,max-content) minmax(0,1fr);gap:.25rem 1rem;margin:.5rem 0}
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
@media (max-width:30rem){html{font-size:15px}body{padding:0 .6rem 3rem}.made-up{margin:0 -.6rem}
dl{grid-template-columns:minmax(0,1fr)}dd{margin-bottom:.4rem}.filters,.made-up~main .filters{position:static}}
@media print{:root{--bg:#fff;--card:#fff}body{max-width:none}.filters,nav,.skip{display:none!important}
.card,article,tr{break-inside:avoid}.scroll{overflow:visible}.q{content-visibility:visible}
h2{break-after:avoid}a{color:inherit;text-decoration:none}
table{font-size:.7rem}th,td{padding:.15rem .25rem}th,tbody th,.n{white-space:normal;overflow-wrap:break-word}
td.n{white-space:nowrap}.plot,td:has(.plot){min-width:3rem;width:auto}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.made-up{position:fixed;top:0;left:0;right:0;margin:0}body{padding-top:2.5rem}}
"""
)
