# SPDX-License-Identifier: Apache-2.0
"""Record what `tokenizers` makes of texts: `python tests/unit/transforms/record_tokenizers.py`.

Needs an environment with that package, which the tests that read the records do not. It trains
a small vocabulary of each kind from the standard library's own sources and writes it as
`data/<kind>.json`, a `tokenizer.json`; `data/tokenized.json` has the version of the package, and
for each kind rows of [length, first text, second or null, tokens, types].
"""

import email
import json
from pathlib import Path

import tokenizers
from tokenizers import (
    AddedToken,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

DATA = Path(__file__).parent / "data"

TEXTS = (
    "",
    " ",
    "The message's headers are parsed, and don't be surprised: they'll differ!",
    "  two  spaces\tand\n\nlines \u3000 wide ",
    "Naïve café — İstanbul ΑΣΑΣ ﬁne Å",
    "中文字 mixed 漢 with latin",
    "tell [MASK] and <mask> what [SEP]</s> they are",
    "\x1c\x85\u200b\ufffd control",
    "½ 1234 ٣ Ⅷ x2",
    "a" * 120,
    "'S 's 're'll ''",
    "\U0001f600 ok",
)


def word_pieces(texts: list[str]) -> Tokenizer:
    """Return a tokenizer as BERT has one."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=600, special_tokens=special, limit_alphabet=120)
    made.train_from_iterator(texts, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return made


def byte_pairs(texts: list[str]) -> Tokenizer:
    """Return a tokenizer as RoBERTa has one."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    mask = AddedToken("<mask>", lstrip=True, special=True)
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", mask],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    made.train_from_iterator(texts, trainer)
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return made


def rows(made: Tokenizer) -> list[list[object]]:
    """Return every text alone and with the next one, whole and cut."""
    found: list[list[object]] = []
    for text, other in zip(TEXTS, (*TEXTS[1:], TEXTS[0]), strict=True):
        for length in (7, 12, 300):
            made.enable_truncation(length)
            for second in (None, other):
                row = made.encode(text, second)
                found.append([length, text, second, row.ids, row.type_ids])
    made.no_truncation()
    return found


def main() -> None:
    """Write the files."""
    folder = Path(email.__file__).parent
    texts = [path.read_text() for path in sorted(folder.glob("*.py"))]
    recorded: dict[str, object] = {"version": tokenizers.__version__}
    for name, make in (("wordpiece", word_pieces), ("bpe", byte_pairs)):
        made = make(texts)
        recorded[name] = rows(made)
        (DATA / f"{name}.json").write_text(made.to_str(pretty=False) + "\n")
    (DATA / "tokenized.json").write_text(json.dumps(recorded, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
