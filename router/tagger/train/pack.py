"""Writes config.json of the tagger that ships: python pack.py MODEL_FOLDER"""
import hashlib, json, pathlib, sys

folder = pathlib.Path(sys.argv[1])
files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ('model.onnx', 'words.txt.gz')}
tests = [
    ('Please forward the contract to Caroline Whitfield today.', [('name', 'Caroline Whitfield')]),
    ('Frau Hannelore Gerstenberg wohnt in der Rosenstrasse 14, 04109 Leipzig.', [('name', 'Hannelore Gerstenberg'), ('address', 'Rosenstrasse 14, 04109 Leipzig')]),
    ('ich treffe morgen hannelore gerstenberg', [('name', 'hannelore gerstenberg')]),
    ('The report is late, and the meeting moves to Monday.', []),
    ('Die Rechnung ist bezahlt, der Termin bleibt am Montag.', []),
]
config = {
    'form': 'pieces',
    'threshold': 0.2,
    'files': files,
    'selfTest': [{'text': text, 'finds': [{'kind': kind, 'text': found} for kind, found in finds]} for text, finds in tests],
}
(folder / 'config.json').write_text(json.dumps(config, indent=2) + '\n')
