"""`demo`: crawl the built-in cloud into a real snapshot."""

from __future__ import annotations

import click

from crawler.cli.options import CommonOptions, common_options, json_option, output_uri, scale_option, seed_option

DEMO_FOLDER = "demo-snapshots"


@click.command()
@click.option(
    "-o",
    "--output",
    "folder",
    type=output_uri,
    metavar="DIR",
    default=DEMO_FOLDER,
    show_default=True,
    help="Where to write the snapshots.",
)
@seed_option
@scale_option
@click.option(
    "--nights",
    default=1,
    show_default=True,
    type=click.IntRange(1, 2),
    help="2: crawl the cloud again, one day later, and show the differences.",
)
@json_option
@common_options
@click.pass_obj
def demo(common: CommonOptions, folder: str, seed: int, scale: int, nights: int, as_json: bool) -> int:
    """Crawl the built-in cloud; needs no account.

    Serves two accounts and three regions with all products on loopback, and crawls them into a real snapshot. Needs no
    credentials and no network. Then compares the snapshot with the records of the built-in cloud.
    """
    from crawler.cli.crawl import begin_crawling, print_result, run_crawl
    from crawler.cli.demo_cloud import crawl_second_night, demo_cloud, print_comparison

    if as_json and nights > 1:
        raise click.UsageError("--json is the result of one crawl; it can't be combined with --nights 2.")
    common.start_logging()
    signals = begin_crawling(common)
    with demo_cloud(folder, seed, scale) as (config, system, counts):
        result = run_crawl(config, common, signals, system)
    signals.decide(result.exit_code)
    code = print_result(result, config, common, as_json=as_json, command="demo")
    if result.manifest is not None and not as_json and not common.is_quiet:
        print_comparison(result.manifest, counts, folder)
    if nights > 1 and code == 0:
        code = crawl_second_night(common, signals, folder, seed, scale, result.snapshot_id)
    return code
