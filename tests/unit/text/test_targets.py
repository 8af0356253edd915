"""What text models are asked: tags, ends of answers, words taken out, words to come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from components.datasets.base import Text
from components.datasets.device_loader import tokens_to_device
from components.models.encoder import EncoderConfig
from components.models.transformer import TransformerConfig
from components.text import causal_lm, fine_tuned, masked_lm, seq2seq, span_extractor
from components.text.sources import open_source
from components.text.token_classifier import tags_of
from components.text.token_classifier import targets as tagged
from components.text.tokeniser import FastTokeniser
from components.training.objective import IGNORED
from tests.texts import asked, marked
from tests.tiny_encoder import save

SMALL = TransformerConfig(width=32, heads=2, length=16, vocabulary=300)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    open_source.cache_clear()
    return str(save(tmp_path_factory.mktemp("tiny")))


def tokens(tiny: str, length: int = 64) -> FastTokeniser:
    return fine_tuned.tokeniser((), EncoderConfig(source=tiny, length=length))


def test_each_piece_of_an_entity_is_tagged(tiny: str) -> None:
    tokeniser = tokens(tiny)
    text = marked("Bo and [[PER|Al Li]] saw [[LOC|Ulm]].")
    ids, tags = tagged(tokeniser, [text], ("PER", "LOC"))
    names = tags_of(("PER", "LOC"))
    [encoding] = tokeniser.encodings([(text.text, "")])
    said = {
        (text.text[start:end], names[tag])
        for (start, end), tag in zip(encoding.offsets, tags[0], strict=True)
        if tag != IGNORED
    }
    assert {("A", "B-PER"), ("l", "I-PER"), ("L", "I-PER"), ("U", "B-LOC"), ("m", "I-LOC")} <= said
    assert {("B", "O"), (".", "O")} <= said
    assert (tags[0][ids[0] == tokeniser.padding] == IGNORED).all()
    assert tags[0, 0] == IGNORED  # [CLS]


def test_an_answer_is_found_in_the_window_that_has_all_of_it(tiny: str) -> None:
    tokeniser = tokens(tiny, 32)
    long = asked("who?", f"{'it rained. ' * 4}then [[answer|ada]] sang. {'it rained. ' * 4}")
    ids, places = span_extractor.targets(tokeniser, [long, asked("who?", "nobody")], ())
    windows = tokeniser.windows([(long.text, long.second)])[0]
    assert len(ids) == len(windows) + 1 > 3
    found = [
        long.second[window.offsets[first][0] : window.offsets[last][1]]
        for window, (first, last) in zip(windows, places, strict=False)
        if first
    ]
    assert found
    assert set(found) == {"ada"}
    assert places[-1].tolist() == [0, 0]
    covered = {place for window in windows for place in range(*_second(window))}
    assert covered >= set(range(len(long.second.rstrip())))


def _second(window: object) -> tuple[int, int]:
    at = [
        place
        for place, part in zip(window.offsets, window.sequence_ids, strict=True)  # type: ignore[attr-defined]
        if part == 1
    ]
    return at[0][0], at[-1][1]


def test_a_question_of_any_length_leaves_half_a_window_for_the_passage(tiny: str) -> None:
    tokeniser = tokens(tiny, 32)
    ids, _ = span_extractor.targets(tokeniser, [asked("why " * 500, "[[answer|so]] it is")], ())
    assert ids.shape[1] == 32


def test_words_taken_out_are_what_is_asked(tiny: str) -> None:
    tokeniser = tokens(tiny)
    texts = [marked("a [[word|cow]] says moo"), Text("nothing is marked here"), Text("x")]
    ids, words = masked_lm.targets(tokeniser, texts, ())
    assert len(ids) == masked_lm.COPIES * len(texts)
    plain = np.tile(tokeniser.encode([(text.text, "") for text in texts]), (masked_lm.COPIES, 1))
    taken = ids == masked_lm.mask_of(tokeniser)
    for row, (covered, whole) in enumerate(zip(taken, plain, strict=True)):
        assert words[row][words[row] != IGNORED].tolist() == whole[covered].tolist() != []
    assert (ids[~taken] == plain[~taken]).all()
    [encoding] = tokeniser.encodings([(texts[0].text, "")])
    first = [text_of(texts[0], encoding.offsets, row) for row in np.flatnonzero(taken[0])]
    assert first == ["c", "o", "w"]
    again, _ = masked_lm.targets(tokeniser, texts, ())
    assert np.array_equal(ids, again)


def text_of(text: Text, offsets: Sequence[tuple[int, int]], column: int) -> str:
    return text.text[slice(*offsets[column])]


def test_a_language_model_is_asked_for_the_next_token_and_the_end() -> None:
    tokeniser = causal_lm.tokeniser([("one two", "")], SMALL)
    ids, words = causal_lm.targets(tokeniser, [Text("one two")], ())
    used = int((ids[0] != tokeniser.padding).sum())
    assert words[0, : used - 1].tolist() == ids[0, 1:used].tolist()
    assert words[0, used - 2] == tokeniser.id_of("[EOS]")
    assert (words[0, used - 1 :] == IGNORED).all()


def test_what_is_to_be_written_stands_behind_the_text() -> None:
    pairs = [("one two", "eins zwei"), ("one", "eins")]
    tokeniser = seq2seq.tokeniser(pairs, SMALL)
    texts = [Text(first, second=second) for first, second in pairs]
    ids, words = seq2seq.targets(tokeniser, texts, ())
    assert ids.shape == (2, 32)
    assert np.array_equal(np.where(words == IGNORED, tokeniser.padding, words), ids[:, 16:])
    split = tokens_to_device(ids, words, tokeniser.padding, torch.device("cpu"), aligned=True)
    [(cut, labels)] = list(split.in_order(2))
    assert cut.shape[1] - 16 == labels.shape[1] < 16
    assert (labels != IGNORED).sum() == (words != IGNORED).sum()


def test_a_shuffled_epoch_has_each_row_once_and_little_padding() -> None:
    chance = np.random.default_rng(0)
    lengths = chance.integers(1, 60, 1000)
    ids = np.where(np.arange(60) < lengths[:, None], 5, 0).astype(np.int64)
    split = tokens_to_device(ids, np.arange(1000), 0, torch.device("cpu"))
    batches = list(split.shuffled(10, torch.Generator().manual_seed(0)))
    rows = torch.cat([labels for _, labels in batches])
    assert sorted(rows.tolist()) == list(range(1000))
    assert sum(given.numel() for given, _ in batches) < 1.2 * lengths.sum()
    order = [int(given.shape[1]) for given, _ in batches]
    assert order != sorted(order)
    again = torch.cat([r for _, r in split.shuffled(10, torch.Generator().manual_seed(0))])
    assert torch.equal(rows, again)
