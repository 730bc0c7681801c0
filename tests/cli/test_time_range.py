from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import OptionError
from stemfix.time_range import TimeRange


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("12.5:30", (551_250, 1_323_000)),
        ("12.5s:30s", (551_250, 1_323_000)),
        ("1m02.5s:2m", (2_756_250, 5_292_000)),
        ("1h:1h0m1s", (158_760_000, 158_804_100)),
        (":30", (None, 1_323_000)),
        ("10:", (441_000, None)),
        ("44100f:88200f", (44_100, 88_200)),
        ("0f:1f", (0, 1)),
        ("10s:441001f", (441_000, 441_001)),
        (" 1 : 2 ", (44_100, 88_200)),
        ("90s:2m", (3_969_000, 5_292_000)),
    ],
)
def test_a_range_names_frames(text: str, frames: tuple[int | None, int | None]) -> None:
    assert TimeRange.parse(text).frames(44_100) == frames


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ":",
            "::",
            "5",
            "1:02:2:00",
            "1:2:3",
            "a:b",
            "-1:2",
            "1:-2",
            "1,5:2",
            "1e3:2e3",
            "nan:2",
            "inf:",
        ),
        *(
            "2:1",
            "1:1",
            "5f:5f",
            "1m60s:2m",
            "1h60m:2h",
            "1h70s:2h",
            "1.5f:2f",
            "1.5m:2m",
            "1s2m:3m",
            "１:２",
            "0x1:2",
        ),
        *("1s1:2", "1m2:3m", "1" * 5000 + ":"),
    ],
)
def test_what_is_no_range_is_refused_in_one_sentence_that_names_it(text: str) -> None:
    with pytest.raises(OptionError) as caught:
        TimeRange.parse(text)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_minutes_with_a_colon_are_explained() -> None:
    with pytest.raises(OptionError, match="1m02"):
        TimeRange.parse("1:02:2:00")


def test_a_range_between_two_frames_holds_none() -> None:
    with pytest.raises(OptionError, match="no frame at 8000 Hz"):
        TimeRange.parse("0.00001:0.00002").frames(8000)


_seconds = st.decimals(min_value=0, max_value=100_000, places=9)
_rates = st.sampled_from([8000, 22_050, 44_100, 48_000, 88_200, 96_000, 192_000])


@given(start=_seconds, length=st.decimals(min_value=1, max_value=100_000, places=9), rate=_rates)
def test_seconds_become_the_nearest_frames_exactly(start: Decimal, length: Decimal, rate: int) -> None:
    with localcontext() as context:
        context.prec = 60
        stop = start + length
        expected = tuple(
            int((seconds * rate).to_integral_value(rounding=ROUND_HALF_UP)) for seconds in (start, stop)
        )
    assert TimeRange.parse(f"{start:f}:{stop:f}").frames(rate) == expected


@given(start=st.integers(0, 10**12), length=st.integers(1, 10**12), rate=_rates)
def test_frames_are_kept(start: int, length: int, rate: int) -> None:
    assert TimeRange.parse(f"{start}f:{start + length}f").frames(rate) == (start, start + length)


@given(
    hours=st.integers(0, 99),
    minutes=st.integers(0, 59),
    seconds=st.integers(0, 59),
    milli=st.integers(0, 999),
)
def test_hours_minutes_and_seconds_add_up(hours: int, minutes: int, seconds: int, milli: int) -> None:
    milliseconds = ((hours * 60 + minutes) * 60 + seconds) * 1000 + milli
    start, _ = TimeRange.parse(f"{hours}h{minutes}m{seconds}.{milli:03}s:").frames(1000)
    assert start == milliseconds


@given(st.text(alphabet="0123456789.:smhf -,e", max_size=20))
def test_any_text_is_a_range_or_refused(text: str) -> None:
    try:
        parsed = TimeRange.parse(text)
        start, stop = parsed.frames(44_100)
    except OptionError:
        return
    assert start is None or start >= 0
    assert stop is None or stop > (start or 0)
