"""The doctor: what stands between this configuration and a crawl, with a remedy each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click
from msgspec.structs import replace
from rich.text import Text

from crawler.catalog.model import Catalog, Operation
from crawler.cli.inputs import load
from crawler.cli.options import OutputOptions, config_option, json_option, output_options
from crawler.cli.render import console, duration_text, safe, show_json
from crawler.cli.signals import run_async
from crawler.client.client import RequestCounts
from crawler.client.clock_skew import CLOCK_WRONG
from crawler.client.credentials import describe
from crawler.client.request import ApiRequest
from crawler.config import Config
from crawler.config.load import OpenSecretsError
from crawler.config.resolve import open_catalog
from crawler.errors import (
    ApiError,
    ConfigError,
    DeniedError,
    ExitCode,
    OutputError,
    PaginationError,
    UnsupportedError,
    bare,
)
from crawler.normalizer.fingerprint_key import load_key
from crawler.run.discovery import read_object
from crawler.run.organization import Membership, find_members
from crawler.run.output import open_bucket, try_output
from crawler.run.plan import account_regions
from crawler.run.resource_directory import RAM_ACTION
from crawler.run.session import UNREACHABLE, ResolvedAccount, Session, open_session
from crawler.run.system import System
from crawler.run.targets import SkipReason
from crawler.snapshot import DirectoryEntry, Status

if TYPE_CHECKING:
    from crawler.catalog.model import Catalog
    from crawler.config import Config
    from crawler.config.load import OpenSecretsError

# Services take 15 minutes to either side; from one on a clock is worth a word.
_SKEW_WORTH_A_WORD_S = 60.0
_SET_CLOCK = "Set this machine's clock right, by NTP."
_NETWORK = "Check the network, a firewall, and [endpoints]."
_UNREACHED = {"ConnectionFailed", "DnsFailed", "Timeout"}


# Someone is waiting: what doesn't answer twice is said not to answer.
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One check: what was looked at, what was seen, and, where it isn't well, what to do."""

    subject: str
    seen: str
    remedy: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing needs doing."""
        return not self.remedy

    def value(self) -> dict[str, str | bool]:
        """As JSON values."""
        return {"subject": self.subject, "is_well": self.is_well, "seen": self.seen, "remedy": self.remedy}


async def examine(
    config: Config, surroundings: System | None = None, opened: OpenSecretsError | None = None
) -> list[DoctorCheck]:
    """Check everything that can be checked, cheapest first. Sends one identity request an account, DescribeRegions,
    and the first page of one record of each product's root lists in one region. With [organization] it lists the
    members and assumes the role in each; of them, only the first is asked for lists: the role is the same in all.
    `opened`: the configuration's file was found to hold a key in clear that others may read."""
    surroundings = surroundings or System()
    config = replace(config, retry=replace(config.retry, max_attempts=min(_ATTEMPTS, config.retry.max_attempts)))
    catalog = open_catalog(config)
    tables = catalog.select(config.crawl.tables, config.crawl.exclude)
    findings = [DoctorCheck("configuration", f"{_counted(config.accounts, 'account')}, {_counted(tables, 'table')}")]
    findings += (
        [DoctorCheck("configuration file", opened.seen, f"{opened.remedy[0].upper()}{opened.remedy[1:]}.")]
        if opened
        else []
    )
    findings += [await _output(config, surroundings), _key(config, surroundings), *_textfile(config)]
    async with open_session(config, catalog, surroundings) as session:
        identities = await session.identify(surroundings)
        findings += [_account(identity) for identity in identities]
        membership = await find_members(session, surroundings, identities)
        findings += _organization(config, membership)
        sample = [identity for identity in membership.identities if identity.refusal is None][:1]
        findings += await _cloud(session, [*identities, *sample], catalog, tables)
        findings.append(_clock(session, identities))
    return findings


def _counted(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


async def _output(config: Config, surroundings: System) -> DoctorCheck:
    try:
        async with open_bucket(config, surroundings) as bucket:
            await try_output(config, bucket)
    except BaseExceptionGroup as group:
        return _unusable(config, str(bare(group)))
    except (OutputError, ConfigError) as error:
        return _unusable(config, str(error))
    return DoctorCheck("output", f"{config.output.uri} can be written")


def _unusable(config: Config, why: str) -> DoctorCheck:
    if config.output.is_bucket:
        return DoctorCheck("output", why, "See the sentence to the left; docs/reading.md says what a bucket needs.")
    return DoctorCheck("output", why, f"Make {config.output.uri} a folder that this user can write.")


def _textfile(config: Config) -> list[DoctorCheck]:
    """Whether the metrics' file can be replaced, which takes a folder that can be written in."""
    path = config.metrics.textfile
    if path is None:
        return []
    if path.parent.is_dir() and os.access(path.parent, os.W_OK | os.X_OK) and not path.is_dir():
        return [DoctorCheck("metrics", f"{path} can be written")]
    return [
        DoctorCheck("metrics", f"{path} can't be written", f"Make {path.parent} a folder that this user can write.")
    ]


def _key(config: Config, surroundings: System) -> DoctorCheck:
    if config.output.secrets != "fingerprint":
        return DoctorCheck("secrets", f"secrets = {config.output.secrets!r}")
    given = config.output.fingerprint_key
    try:
        key = load_key(given.reveal() if given else "", surroundings.state_folder)
    except OutputError as error:
        return DoctorCheck("secrets", str(error), "See the sentence to the left.")
    if key is None:
        remedy = "Make the folder writable, or set [output] fingerprint_key from the environment."
        return DoctorCheck("secrets", f"no fingerprint key can be kept in {surroundings.state_folder}", remedy)
    return DoctorCheck("secrets", "fingerprinted with " + ("the configured key" if given else "this machine's key"))


def _account(identity: ResolvedAccount) -> DoctorCheck:
    subject, source = f"account {identity.account.id}", describe(identity.account.credentials)
    if identity.refusal is None:
        return DoctorCheck(subject, f"{source}: GetCallerIdentity agrees")
    remedies = {
        "AccountMismatch": "Configure this account's own credentials.",
        CLOCK_WRONG: _SET_CLOCK,
        UNREACHABLE: _NETWORK,
        "InvalidCredentials": _key_remedy(identity, source),
    }
    return DoctorCheck(subject, identity.refusal.message, remedies.get(identity.refusal.code, f"Check {source}."))


def _key_remedy(identity: ResolvedAccount, source: str) -> str:
    match identity.account.credentials.type:
        case "access_key":
            return f"Compare ID and secret of {source} with the RAM console's; a new key is made there, too."
        case "sts":
            return f"Get new temporary keys in place of {source}: key, secret and token go together, and expire."
        case _:
            return f"Check {source}."


def _organization(config: Config, membership: Membership) -> list[DoctorCheck]:
    """The resource directory, and each member that can't be entered or is left out; those that can, in one line."""
    directory, members = membership.directory, membership.identities
    if directory is None or config.organization is None:
        return []
    seen = f"account {directory.account_id} lists {directory.members} members, {len(members)} of them to be crawled"
    findings = [DoctorCheck("resource directory", directory.error_message or seen, _directory_remedy(directory))]
    role = config.organization.role_name
    refused = [(member.account.id, member.refusal) for member in members if member.refusal is not None]
    if members:
        entered = len(members) - len(refused)
        findings.append(DoctorCheck("members", f"the role {role} can be assumed in {entered} of {len(members)}"))
    for account_id, refusal in refused:
        remedy = _member_remedy(refusal, role, directory.account_id)
        findings.append(DoctorCheck(f"member {account_id}", refusal.message, remedy))
    return findings + [
        DoctorCheck(f"member {left.account_id}", f"left out: {left.reason}") for left in membership.left_out
    ]


def _directory_remedy(directory: DirectoryEntry) -> str:
    match directory.status:
        case Status.COMPLETE:
            return ""
        case Status.UNSTABLE:
            return "Try again when no members are being added or removed."
        case Status.DENIED:
            who = f"account {directory.account_id}, the directory's management account or a delegated administrator"
            return f"Allow {RAM_ACTION} in the RAM policy of the user or role that asks; it must be of {who}."
        case _ if directory.error_code == "EntityNotExists.ResourceDirectory":
            return "Name the directory's management account in [organization] account, or leave [organization] out."
        case _ if directory.error_code in {UNREACHABLE, *_UNREACHED}:
            return _NETWORK
        case _:
            return f"Mend account {directory.account_id} first, or look the code up in the product's error reference."


def _member_remedy(refusal: SkipReason, role: str, asker: str) -> str:
    if refusal.status is not Status.DENIED:
        return _NETWORK if refusal.code == UNREACHABLE else "Look the code up in the error reference of STS."
    if refusal.code.startswith("EntityNotExist."):
        return f"Make the role {role} in this account, with a trust policy that names account {asker}."
    keys = f"account {asker}'s credentials, which must be a RAM user's or a role's"
    return f"Allow sts:AssumeRole to {keys}, and name that account in the trust policy of the role {role}."


def _clock(session: Session, identities: Sequence[ResolvedAccount]) -> DoctorCheck:
    if all(identity.refusal is not None and identity.refusal.code == UNREACHABLE for identity in identities):
        return DoctorCheck("clock", "not compared: no service could be asked", "Check again when one can be reached.")
    wrong = [found.refusal.message for found in identities if found.refusal and found.refusal.code == CLOCK_WRONG]
    if wrong:
        return DoctorCheck("clock", wrong[0], _SET_CLOCK)
    skew_s = session.client.clock_skew_s
    if abs(skew_s) < _SKEW_WORTH_A_WORD_S:
        return DoctorCheck("clock", "within the 15 minutes that signatures need")
    side = "behind" if skew_s > 0 else "ahead of"
    return DoctorCheck(
        "clock", f"{duration_text(abs(skew_s))} {side} the cloud's, which crawls correct for", _SET_CLOCK
    )


async def _cloud(
    session: Session, identities: Sequence[ResolvedAccount], catalog: Catalog, tables: Sequence[str]
) -> list[DoctorCheck]:
    working = [identity for identity in identities if identity.refusal is None]
    if not working:
        return []
    operations = [catalog.operations[table] for table in catalog.with_parents(tables)]
    products = [catalog.products[key] for key in dict.fromkeys(operation.product for operation in operations)]
    offered = await session.regions(products, working[0].caller)
    findings: list[DoctorCheck] = []

    async def check(identity: ResolvedAccount, operation: Operation, region_id: str) -> None:
        findings.append(await _list(session, identity, operation, region_id))

    async with anyio.create_task_group() as tasks:
        for identity in working:
            try:
                regions = account_regions(session, identity.account, offered)
            except ConfigError as error:
                return [DoctorCheck("regions", str(error), "Correct [crawl] regions, or the account's.")]
            for operation in operations:
                region_id = next((region for region in regions if region in offered[operation.product]), None)
                if region_id is not None and not operation.parents:
                    tasks.start_soon(check, identity, operation, region_id)
    return sorted(findings, key=lambda finding: finding.subject)


async def _list(session: Session, identity: ResolvedAccount, operation: Operation, region_id: str) -> DoctorCheck:
    subject = f"{operation.table} in {identity.account.id} {region_id}"
    limit = {operation.paging.limit_key: "1"} if operation.paging.limit_key else {}
    query = operation.filled_query({"account_id": identity.account.id, "region_id": region_id})
    request = ApiRequest(
        operation.product, operation.version, operation.action, region_id, operation.path, {**query, **limit}
    )
    channel = session.client.channel(identity.account.id, region_id, operation.product, operation.action)
    try:
        await session.client.call(request, identity.caller, channel, read_object, RequestCounts())
    except UnsupportedError as error:
        return DoctorCheck(subject, f"not offered or not activated there ({error.code})")
    except (ApiError, PaginationError) as error:
        return DoctorCheck(subject, str(error), _remedy(error, operation))
    return DoctorCheck(subject, "can be listed")


def _remedy(error: ApiError | PaginationError, operation: Operation) -> str:
    if isinstance(error, DeniedError):
        return f"Allow {operation.ram} in the RAM policy of these credentials."
    if error.code in _UNREACHED:
        return _NETWORK
    if error.code == "TlsFailed":
        return "Check what stands between this machine and the cloud; [tls] ca_file takes a private authority."
    return "Look the code up in the product's error reference."


def print_findings(findings: Sequence[DoctorCheck]) -> None:
    """A line a check; a remedy under what isn't well."""
    out = console()
    for finding in findings:
        mark = Text("✓ ", "green") if finding.is_well else Text("✗ ", "red")
        out.print(mark + safe(finding.subject, "bold") + safe(f"  {finding.seen}"), soft_wrap=True)
        if not finding.is_well:
            out.print(safe(f"    {finding.remedy}", "yellow"), soft_wrap=True)
    wrong = sum(not finding.is_well for finding in findings)
    out.print(Text("All is well.", "green") if not wrong else Text(f"{wrong} to mend.", "red"))


@click.command()
@config_option
@json_option
@output_options
@click.pass_obj
def doctor(output: OutputOptions, config_file: Path | None, as_json: bool) -> int:
    """Check configuration, credentials, endpoints, clock, permissions and output; say what to fix.

    Exit codes: 0 all is well; 1 something isn't; 2 the configuration can't be read.
    """
    from crawler.cli import doctor as checking

    config, opened = _load_open(config_file)
    output.log_level = output.log_level or "error"
    output.start_logging()
    findings = run_async(lambda: checking.examine(config, opened=opened))
    if as_json:
        show_json([finding.value() for finding in findings])
    else:
        checking.print_findings(findings)
    return ExitCode.SUCCESS if all(finding.is_well for finding in findings) else ExitCode.FAILURE


def _load_open(config_file: Path | None) -> tuple[Config, OpenSecretsError | None]:
    """The configuration, and what a crawl would refuse it for: keys in clear that others may read."""
    from crawler.config.load import OpenSecretsError

    try:
        return load(config_file), None
    except OpenSecretsError as error:
        return error.config, error
