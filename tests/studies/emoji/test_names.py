from collections import Counter

import pytest

from studies.emoji.names import NO_TONE, TONES, emoji_of, hold_out


def entry(code, tones=(), category="People & Body"):
    variations = {
        tone: {"unified": f"{code}-{tone}", "image": f"{code}-{tone}.png"} for tone in tones
    }
    whole = {"unified": code, "image": f"{code}.png", "category": category}
    return whole | ({"skin_variations": variations} if variations else {})


def name(code, label, tones=()):
    skins = [{"hexcode": f"{code}-{tone}", "label": f"{label}: {tone}"} for tone in tones]
    return {"hexcode": code, "label": label, "skins": skins}


def test_pictures_get_the_names_of_their_code_points():
    dual = [f"{one}-{other}" for one in TONES for other in TONES]
    pictures = [
        entry("1F44B-FE0F", TONES),
        entry("1F46B", dual),
        entry("1F34E", category="Food & Drink"),
    ]
    names = [name("1F44B", "wave", TONES), name("1F46B", "pair", dual), name("1F34E", "apple")]
    emoji = emoji_of(pictures, names)
    assert len(emoji) == 6 + 26 + 1
    assert emoji[0].text == "wave" and emoji[0].tone == NO_TONE and emoji[0].has_tones
    assert [one.tone for one in emoji[1:6]] == list(TONES.values())
    assert emoji[5].text == "wave: 1F3FF" and {one.base for one in emoji[:6]} == {"wave"}
    assert Counter(one.tone for one in emoji[6:32])["two"] == 20
    assert not any(one.has_tones for one in emoji[6:])
    assert emoji[-1].category == "food_drink"
    with pytest.raises(KeyError):
        emoji_of(pictures, names[:-1])


def test_a_fifth_of_the_pairs_is_held_out_and_each_emoji_stays_in_three_tones():
    codes = [f"1F{i:03d}" for i in range(60)]
    emoji = emoji_of([entry(c, TONES) for c in codes], [name(c, c, TONES) for c in codes])
    train, held_out = hold_out(emoji)
    assert len(held_out) == 60 and len(train) == 300
    assert NO_TONE not in {one.tone for one in held_out}
    assert max(Counter(one.base for one in held_out).values()) == 2
    assert not {one.file for one in train} & {one.file for one in held_out}
    assert hold_out(emoji[::-1]) == (train, held_out)
