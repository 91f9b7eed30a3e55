"""Names and texts for the seeded records; some of the texts are what a careless exporter trips over."""

from __future__ import annotations

from crawler.emulator.data.seeded import Dice

SUBJECTS = (
    "order", "payment", "invoice", "image", "video", "log", "search", "user", "stock", "report", "mail", "audit",
    "price", "coupon", "device", "metric",
)  # fmt: skip
VERBS = ("sync", "resize", "export", "notify", "index", "import", "clean", "score", "merge", "watch", "render", "route")
STAGES = ("prod", "staging", "dev", "canary", "gray")
DESCRIPTIONS = (
    "Resizes uploaded pictures.",
    "订单同步服务，每五分钟运行一次",
    "画像をリサイズする関数 🚀",
    "결제 알림 ✅ (영업일만)",
    "",
    '=HYPERLINK("http://example.invalid","open")',
    "<script>alert('inventory')</script>",
    "two\nlines and a\ttab",
    "quotes \" and ' and back\\slash, comma; semicolon",
    "\x1b[31mred\x1b[0m \u202egnirts\u202c",
    "e\u0301 is not \u00e9",
    "  spaces around  ",
    "👩‍👩‍👧‍👦 family, 𝔘𝔫𝔦𝔠𝔬𝔡𝔢, \u200emark",
    "@every 5m; -1+1",
)


def description(dice: Dice) -> str:
    """Free text in several scripts."""
    return dice.choice(DESCRIPTIONS)


def name(dice: Dice, number: int, longest: int = 64) -> str:
    """A unique resource name of `[A-Za-z0-9_-]`; about one in twenty is as long as the service allows."""
    stem = f"{dice.choice(SUBJECTS)}{dice.choice('-_')}{dice.choice(VERBS)}-{dice.choice(STAGES)}"
    if dice.chance(0.2):
        stem = stem.title().replace("-", "_")
    unique = f"{stem}-{number:04d}"
    return unique + "_" + dice.text(longest - len(unique) - 1) if dice.chance(0.05) else unique
