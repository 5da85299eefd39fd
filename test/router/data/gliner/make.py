"""A tiny export in the form of GLiNER's span mode, so that the adapter is tried on the real runtime: python make.py

Its graph reads all six inputs as a real one does. A word speaks for or against each label by a table over the first piece of it; a span is rated by the sum of its
words, so that a long span of names wins over its parts, and a word between two names parts them.
"""
import hashlib, json, pathlib
import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as n

here = pathlib.Path(__file__).parent
vocabulary = ['[PAD]', '[CLS]', '[SEP]', '[UNK]', '<<ENT>>', '<<SEP>>', 'person', 'place', 'Ada', 'Lovelace', 'Hopper', 'Elm', 'Street', 'wrote', 'to', 'of', 'the', 'letter', '.', ',']
scores = np.full((len(vocabulary), 2), -6, np.float32)
for word in ('Ada', 'Lovelace', 'Hopper'):
    scores[vocabulary.index(word), 0] = 3
for word in ('Elm', 'Street'):
    scores[vocabulary.index(word), 1] = 3
node, init = h.make_node, lambda name, value: n.from_array(np.asarray(value), name)
nodes = [
    node('Cast', ['attention_mask'], ['attended'], to=T.FLOAT),
    node('Unsqueeze', ['attended', 'axis2'], ['attended2']),
    node('Gather', ['scores', 'input_ids'], ['piece0']),
    node('Mul', ['piece0', 'attended2'], ['piece']),
    # [1, words, s]: which piece is the first of which word
    node('Squeeze', ['text_lengths'], ['count']),
    node('Add', ['count', 'one'], ['upto']),
    node('Range', ['one', 'upto', 'one'], ['numbers']),
    node('Unsqueeze', ['numbers', 'axes02'], ['numbers3']),
    node('Unsqueeze', ['words_mask', 'axis1'], ['mask3']),
    node('Equal', ['numbers3', 'mask3'], ['isFirst']),
    node('Cast', ['isFirst'], ['first'], to=T.FLOAT),
    node('MatMul', ['first', 'piece'], ['words']),
    # [1, n, 2, labels] → both ends of each span
    node('Squeeze', ['words', 'axis0'], ['words2']),
    node('CumSum', ['words2', 'axis0s'], ['sums']),
    node('Concat', ['zeros', 'sums'], ['sums0'], axis=0),
    node('Split', ['span_idx'], ['from', 'to'], axis=2, num_outputs=2),
    node('Squeeze', ['from', 'axis2'], ['from2']),
    node('Squeeze', ['to', 'axis2'], ['to2']),
    node('Add', ['to2', 'one'], ['behind']),
    node('Gather', ['sums0', 'from2'], ['before']),
    node('Gather', ['sums0', 'behind'], ['after']),
    node('Sub', ['after', 'before'], ['rated']),
    node('Cast', ['span_mask'], ['valid'], to=T.FLOAT),
    node('Unsqueeze', ['valid', 'axis2'], ['valid3']),
    node('Mul', ['rated', 'valid3'], ['kept']),
    node('Reshape', ['kept', 'shape'], ['logits']),
]
graph = h.make_graph(
    nodes,
    'gliner',
    [h.make_tensor_value_info(name, T.INT64, dims) for name, dims in {'input_ids': [1, 's'], 'attention_mask': [1, 's'], 'words_mask': [1, 's'], 'text_lengths': [1, 1], 'span_idx': [1, 'n', 2]}.items()]
    + [h.make_tensor_value_info('span_mask', T.BOOL, [1, 'n'])],
    [h.make_tensor_value_info('logits', T.FLOAT, [1, 'w', 4, 2])],
    [
        init('scores', scores),
        init('one', np.array(1, np.int64)),
        init('axis0', np.array([0])),
        init('axis1', np.array([1])),
        init('axis2', np.array([2])),
        init('axes02', np.array([0, 2])),
        init('axis0s', np.array(0, np.int64)),
        init('zeros', np.zeros((1, 2), np.float32)),
        init('shape', np.array([1, -1, 4, 2])),
    ],
)
model = h.make_model(graph, opset_imports=[h.make_opsetid('', 18)], producer_name='clawmesh')
model.ir_version = 8
onnx.checker.check_model(model)
onnx.save(model, here / 'model.onnx')
tokenizer = {
    'version': '1.0',
    'added_tokens': [{'id': i, 'content': vocabulary[i], 'single_word': False, 'lstrip': False, 'rstrip': False, 'normalized': False, 'special': True} for i in (0, 1, 2, 3, 4, 5)],
    'normalizer': None,
    'pre_tokenizer': {'type': 'WhitespaceSplit'},
    'post_processor': None,
    'decoder': None,
    'model': {'type': 'WordLevel', 'vocab': {word: i for i, word in enumerate(vocabulary)}, 'unk_token': '[UNK]'},
}
(here / 'tokenizer.json').write_text(json.dumps(tokenizer))
(here / 'tokenizer_config.json').write_text(json.dumps({'tokenizer_class': 'PreTrainedTokenizerFast', 'unk_token': '[UNK]'}))
files = {name: hashlib.sha256((here / name).read_bytes()).hexdigest() for name in ('model.onnx', 'tokenizer.json', 'tokenizer_config.json')}
config = {
    'form': 'gliner-span',
    'threshold': 0.5,
    'files': files,
    'labels': {'person': 'name', 'place': 'address'},
    'maxWidth': 4,
    'maxWords': 8,
    'selfTest': [
        {'text': 'Ada Lovelace wrote to Hopper of Elm Street.', 'finds': [{'kind': 'name', 'text': 'Ada Lovelace'}, {'kind': 'name', 'text': 'Hopper'}, {'kind': 'address', 'text': 'Elm Street'}]},
        {'text': 'the letter', 'finds': []},
    ],
}
(here / 'config.json').write_text(json.dumps(config, indent=2) + '\n')
