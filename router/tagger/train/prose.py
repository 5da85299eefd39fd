"""Sentences without names, for training alone: the help pages of LibreOffice (MPL 2.0), English and German, as Debian packages them.

    python prose.py HELP_FOLDER OUT
"""
import html, pathlib, random, re, sys

root, out = map(pathlib.Path, sys.argv[1:3])
kept = []
for language in ('de', 'en-US'):
    found = set()
    for path in (root / language / 'text').rglob('*.html'):
        text = path.read_text(errors='ignore')
        for paragraph in re.findall(r'<p[^>]*class="(?:paragraph|listitem|tip|note)"[^>]*>(.*?)</p>', text, re.S):
            paragraph = re.sub(r'\s+', ' ', html.unescape(re.sub(r'<[^>]+>', '', paragraph))).strip()
            found.update(sentence for sentence in re.split(r'(?<=[.!?]) ', paragraph) if 30 < len(sentence) < 220)
    found = sorted(found)
    random.Random(1).shuffle(found)
    kept += found[:12000]
random.Random(2).shuffle(kept)
out.write_text('\n'.join(kept))
