"""Trains the tagger and writes it as ONNX.

    OMP_NUM_THREADS=1 python train.py SET OUT [MINUTES]

SET is what generate.ts wrote. The graph is built by hand (opset 17): spelling [n, 24] int32 and looks [n, 20] float32 in, kinds [n, 4] float32 (a share of
certainty for each kind) out; n tokens of one text in a row. The table of spellings is kept as 8-bit numbers with a scale for each column.
"""
import json, sys, time
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional as F

PIECES, ROWS, FACTS, KINDS, DEPTH, WIDTH = 24, 16384, 20, 4, 64, 96
DILATIONS = (1, 2, 4)
torch.manual_seed(7)
torch.set_num_threads(1)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.EmbeddingBag(ROWS, DEPTH, mode='sum', padding_idx=0)
        nn.init.normal_(self.table.weight, std=0.1)
        self.start = nn.Linear(DEPTH + FACTS, WIDTH)
        self.blocks = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 5, dilation=d, padding=2 * d) for d in DILATIONS)
        self.end = nn.Linear(WIDTH, KINDS)

    def forward(self, spelling, looks, mask):
        batch, length, _ = spelling.shape
        flat = spelling.reshape(-1, PIECES)
        count = (flat > 0).sum(1, keepdim=True).clamp(min=1)
        spelled = self.table(flat) / count.sqrt()
        spelled = F.dropout(spelled, 0.15, self.training)
        x = F.relu(self.start(torch.cat([spelled, looks.reshape(-1, FACTS)], 1))).reshape(batch, length, WIDTH)
        x = (x * mask.unsqueeze(2)).transpose(1, 2)
        for block in self.blocks:
            x = (x + F.relu(block(F.dropout(x, 0.1, self.training)))) * mask.unsqueeze(1)
        return self.end(x.transpose(1, 2))


def read(path):
    lengths = np.fromfile(path + '.lengths', np.int32)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    tokens = np.memmap(path + '.tokens', np.int32, 'r').reshape(-1, PIECES)
    looks = np.fromfile(path + '.looks', np.uint8).reshape(-1, FACTS)
    kinds = np.fromfile(path + '.kinds', np.uint8)
    return lengths, starts, tokens, looks, kinds


def batch_of(set_, chosen):
    lengths, starts, tokens, looks, kinds = set_
    longest = int(lengths[chosen].max())
    spelling = np.zeros((len(chosen), longest, PIECES), np.int64)
    facts = np.zeros((len(chosen), longest, FACTS), np.float32)
    wanted = np.full((len(chosen), longest), -100, np.int64)
    mask = np.zeros((len(chosen), longest), np.float32)
    for row, index in enumerate(chosen):
        a, b = starts[index], starts[index + 1]
        n = b - a
        spelling[row, :n], facts[row, :n], wanted[row, :n], mask[row, :n] = tokens[a:b], looks[a:b], kinds[a:b], 1
    return [torch.from_numpy(x) for x in (spelling, facts, mask, wanted)]


def main(path, out, minutes):
    set_ = read(path)
    lengths = set_[0]
    order = np.random.default_rng(3).permutation(np.flatnonzero(lengths > 0))
    held, trained = order[:1500], order[1500:]
    model = Tagger()
    weights = torch.tensor([1.0, 1.6, 1.3, 1.6])
    rate, size = 2e-3, 48
    optimiser = torch.optim.Adam(model.parameters(), rate)
    begun, step, epoch, until = time.time(), 0, 0, minutes * 60
    rng = np.random.default_rng(4)
    while time.time() - begun < until:
        epoch += 1
        shuffled = rng.permutation(trained)
        # Texts of about one length together, so that little is padding.
        chunks = [chunk for pool in np.array_split(shuffled, max(1, len(shuffled) // 4800)) for chunk in np.array_split(pool[np.argsort(lengths[pool])], max(1, len(pool) // size))]
        for at in rng.permutation(len(chunks)):
            share = min(1.0, (time.time() - begun) / until)
            if share >= 1:
                break
            for group in optimiser.param_groups:
                group['lr'] = rate * min(1, step / 200) * (1 - share) ** 0.8 + 1e-5
            spelling, facts, mask, wanted = batch_of(set_, chunks[at])
            # The table must stand for words that it never met: now and then a whole is left out, and only its pieces say what it is.
            spelling[:, :, 0] *= (torch.rand(spelling.shape[:2]) > 0.5).long()
            loss = F.cross_entropy(model(spelling, facts, mask).reshape(-1, KINDS), wanted.reshape(-1), weights, ignore_index=-100)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
            if step % 200 == 0:
                print(f'{time.time() - begun:.0f} s, epoch {epoch}, step {step}, loss {loss.item():.4f}', flush=True)
        check(model, set_, held)
        export(model, out)


def check(model, set_, held):
    model.eval()
    counts = np.zeros((KINDS, KINDS), int)
    with torch.no_grad():
        for chunk in np.array_split(held, 30):
            spelling, facts, mask, wanted = batch_of(set_, chunk)
            found = model(spelling, facts, mask).argmax(2)
            for a in range(KINDS):
                for b in range(KINDS):
                    counts[a, b] += ((wanted == a) & (found == b)).sum().item()
    model.train()
    masked = [1 - counts[k, 0] / counts[k].sum() for k in range(1, KINDS)]
    print('masked', [f'{m:.4f}' for m in masked], 'of none', f'{1 - counts[0, 0] / counts[0].sum():.4f}', flush=True)


def export(model, path):
    weight = {k: v.detach().numpy() for k, v in model.state_dict().items()}
    table = weight['table.weight'].copy()
    table[0] = 0
    scale = np.abs(table).max(0) / 127
    stored = np.round(table / scale).astype(np.int8)
    constants = {
        'table': stored,
        'scale': scale.astype(np.float32),
        'start_w': weight['start.weight'].T.copy(),
        'start_b': weight['start.bias'],
        'end_w': weight['end.weight'].T.copy(),
        'end_b': weight['end.bias'],
        'zero': np.array(0, np.int32),
        'one': np.array(1, np.float32),
        'axis1': np.array([1], np.int64),
        'axis0': np.array([0], np.int64),
    }
    node = helper.make_node
    nodes = [
        node('Gather', ['table', 'spelling'], ['rows8']),
        node('Cast', ['rows8'], ['rows'], to=TensorProto.FLOAT),
        node('ReduceSum', ['rows', 'axis1'], ['summed'], keepdims=0),
        node('Mul', ['summed', 'scale'], ['scaled']),
        node('Greater', ['spelling', 'zero'], ['isPiece']),
        node('Cast', ['isPiece'], ['piece'], to=TensorProto.FLOAT),
        node('ReduceSum', ['piece', 'axis1'], ['count'], keepdims=1),
        node('Max', ['count', 'one'], ['counted']),
        node('Sqrt', ['counted'], ['root']),
        node('Div', ['scaled', 'root'], ['spelled']),
        node('Concat', ['spelled', 'looks'], ['all'], axis=1),
        node('MatMul', ['all', 'start_w'], ['begun']),
        node('Add', ['begun', 'start_b'], ['begunb']),
        node('Relu', ['begunb'], ['x']),
        node('Transpose', ['x'], ['xt'], perm=[1, 0]),
        node('Unsqueeze', ['xt', 'axis0'], ['h0']),
    ]
    for i, dilation in enumerate(DILATIONS):
        constants[f'conv{i}_w'] = weight[f'blocks.{i}.weight']
        constants[f'conv{i}_b'] = weight[f'blocks.{i}.bias']
        nodes += [
            node('Conv', [f'h{i}', f'conv{i}_w', f'conv{i}_b'], [f'c{i}'], kernel_shape=[5], dilations=[dilation], pads=[2 * dilation] * 2),
            node('Relu', [f'c{i}'], [f'r{i}']),
            node('Add', [f'h{i}', f'r{i}'], [f'h{i + 1}']),
        ]
    nodes += [
        node('Squeeze', [f'h{len(DILATIONS)}', 'axis0'], ['ht']),
        node('Transpose', ['ht'], ['h'], perm=[1, 0]),
        node('MatMul', ['h', 'end_w'], ['ended']),
        node('Add', ['ended', 'end_b'], ['endedb']),
        node('Softmax', ['endedb'], ['kinds'], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        'tagger',
        [helper.make_tensor_value_info('spelling', TensorProto.INT32, ['n', PIECES]), helper.make_tensor_value_info('looks', TensorProto.FLOAT, ['n', FACTS])],
        [helper.make_tensor_value_info('kinds', TensorProto.FLOAT, ['n', KINDS])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], producer_name='clawmesh')
    made.ir_version = 8
    onnx.checker.check_model(made)
    onnx.save(made, path)


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 12)
