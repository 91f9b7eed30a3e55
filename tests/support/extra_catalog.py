"""A user's folder of schema files that use all features of a file, some of them awkward to show."""

from __future__ import annotations

from tests.support.shop_catalog import PRODUCT

CARTS = """
source = "https://www.alibabacloud.com/help/en/shop/listcarts"
checked = 2026-11-22
[operation]
action = "ListCarts"
path = "/carts"
records = "body.carts"
ram = "shop:ListCarts"
ram_assumed = true
query = { region = "{region_id}" }
filters = ["prefix"]
accepts = ["object", "absent"]
empty_codes = ["NoCarts"]
embedded = ["note"]
[window]
begin = "since"
end = "until"
hours = 12
[paging]
style = "page-number"
page_key = "page"
limit_key = "size"
limit = 50
total = "total"
[table]
name = "shop_carts"
title = "Carts | baskets, <b>not *bold*</b>"
key = ["id", "name?"]
volatile = ["note.author"]
[details]
action = "GetCart"
path = "/carts/{id}"
ram = "shop:GetCart"
bind = { id = "id" }
[rate_limit]
rate = 3.0
burst = 2
[columns]
id = "string"
name = "string"
note = { author = "string secret", lines = [{ at = "timestamp(ms)", size = "integer(MB)" }] }
tokens = ["string secret"]
weights = { "*" = { grams = "number(g)" } }
[descriptions]
"name" = "a | b, <i>, `code`, *star*, _under_, [link](x) & ~~gone~~"
"weights.*.grams" = "of one of them"
[differences]
"fields.note" = { sdk = "list<struct>", reason = "shown so in the sample" }
"query.prefix" = { sdk = "", reason = "in the page's own table" }
"""
ITEMS = """
source = "https://www.alibabacloud.com/help/en/shop/listitems"
checked = 2026-11-22
[operation]
action = "ListItems"
path = "/carts/{cartId}/items"
records = "items"
item = "itemId"
ram = "shop:ListItems"
[[parents]]
table = "shop_carts"
bind = { cartId = "id" }
[paging]
style = "none"
[table]
name = "shop_items"
title = "Items of carts"
key = []
selection = "SELECTION"
reason = "there are | many"
[columns]
itemId = "string"
"""
OFFERS = """
source = "https://www.alibabacloud.com/help/en/shop/listoffers"
checked = 2026-11-22
[operation]
action = "ListOffers"
path = "/carts/{cartId}/offers/{kind}"
records = "offers"
ram = "shop:ListOffers"
[[parents]]
table = "shop_carts"
bind = { cartId = "id" }
values = { kind = ["new", "old"] }
setting = "opensearch.functions"
[[parents]]
table = "shop_items"
bind = { cartId = "cart_id", kind = "item_id" }
[paging]
style = "token"
input_token = "token"
output_token = "next"
[table]
name = "shop_offers"
title = "Offers"
key = ["cart_id", "kind"]
[columns]
price = "number"
"""


def write(folder, *, selection="opt-in"):
    """Write the files below `folder`."""
    root = folder / "shop" / "2020-01-01"
    root.mkdir(parents=True)
    (root / "product.toml").write_text(PRODUCT)
    (root / "carts.toml").write_text(CARTS)
    (root / "items.toml").write_text(ITEMS.replace("SELECTION", selection))
    (root / "offers.toml").write_text(OFFERS)
    return folder
