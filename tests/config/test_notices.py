"""A configuration that can't be loaded can still say where its failure is to be reported."""

from __future__ import annotations

import pytest

from crawler.config.notices import load_notices

PING = '[ping]\nurl = "https://hc.example/${TOKEN}"\n'
METRICS = '[metrics]\ntextfile = "acs.prom"\npush = "https://push.example/metrics/job/x"\n'


def notices(folder, text, environ=None):
    path = folder / "config.toml"
    path.write_text(text)
    return load_notices(path, {"TOKEN": "t0ken"} if environ is None else environ, cwd=folder)


@pytest.mark.parametrize(
    "mistake",
    [
        '[[accounts]]\nid = "x"\n',
        '[[accounts]]\nid = "1000000000000001"\n[accounts.credentials]\ntype = "sts"\nsecurity_token = "${UNSET}"\n',
        "[nonsense]\nx = 1\n",
        "[crawl]\nconcurrency = 0\n",
        '[output]\nuri = "ftp://x"\n',
        "",
    ],
)
def test_a_mistake_elsewhere_hides_no_notice(tmp_path, mistake):
    config = notices(tmp_path, PING + METRICS + mistake)
    assert config.ping.url.reveal() == "https://hc.example/t0ken"
    assert config.metrics.textfile == tmp_path / "acs.prom"
    assert config.metrics.push.reveal() == "https://push.example/metrics/job/x"


def test_each_notice_counts_for_itself(tmp_path):
    config = notices(tmp_path, PING + METRICS, {})
    assert config.ping.url is None
    assert config.metrics.textfile == tmp_path / "acs.prom"
    config = notices(tmp_path, PING + '[metrics]\ntextfile = "${UNSET}"\nnonsense = 1\n')
    assert config.metrics.textfile is None
    assert config.ping.url is not None


@pytest.mark.parametrize(
    "text", ["", "[ping\n", "ping = 1\n", '[ping]\nurl = "http://hc.example/x"\n', "x = " + "[" * 5000]
)
def test_without_a_notice_that_can_be_used_there_is_none(tmp_path, text):
    assert notices(tmp_path, text) is None
    assert load_notices(tmp_path / "missing.toml", {}, cwd=tmp_path) is None


def test_a_notice_isnt_sent_past_the_proxy_that_it_needs(tmp_path):
    assert notices(tmp_path, PING + '[network]\nproxy = "${UNSET}"\n') is None
    config = notices(tmp_path, PING + '[network]\nproxy = "http://proxy.example:3128"\n')
    assert config.proxy.url == "http://proxy.example:3128"
