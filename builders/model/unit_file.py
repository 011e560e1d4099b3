"""systemd's unit files for systems with an older systemd, which ignores a key that it does not know."""

from collections.abc import Iterator
from dataclasses import dataclass

_ADDED = {
    242: """
        CPUQuotaPeriodSec ConditionCPUs ConditionMemory NetworkNamespacePath OnClockChange OnTimezoneChange
        ProtectHostname RestrictSUIDSGID """,
    243: """
        DefaultMemoryLow DefaultMemoryMin ExecCondition IPEgressFilterPath IPIngressFilterPath NUMAMask NUMAPolicy
        OOMPolicy TimeoutAbortSec """,
    244: "AllowedCPUs AllowedMemoryNodes ProtectKernelLogs RestartKillSignal TimeoutCleanSec",
    245: "LogNamespace ProtectClock",
    246: """
        ConditionEnvironment ConditionPathIsEncrypted CoredumpFilter PassPacketInfo ReadWriteOnly RootHash
        RootHashSignature RootVerity TimeoutStartFailureMode TimeoutStopFailureMode """,
    247: """
        FixedRandomDelay FlushPending LoadCredential ManagedOOMMemoryPressure ManagedOOMSwap MountImages ProcSubset
        ProtectProc RootImageOptions SetCredential SystemCallLog Timestamping """,
    248: """
        ConditionCPUFeature ExecPaths ExtensionImages IPCNamespacePath ManagedOOMMemoryPressureLimit
        ManagedOOMPreference NoExecPaths PrivateIPC """,
    249: """
        BPFProgram ConditionFirmware ConditionOSRelease OnSuccess OnSuccessJobMode PropagatesStopTo SocketBindAllow
        SocketBindDeny StopPropagatedFrom Upholds """,
    250: """
        ConditionCPUPressure ConditionIOPressure ConditionMemoryPressure ExecSearchPath ExitType ExtraOptions
        LoadCredentialEncrypted RestrictFileSystems RestrictNetworkInterfaces RuntimeRandomizedExtraSec
        SetCredentialEncrypted StartupAllowedCPUs StartupAllowedMemoryNodes TTYColumns TTYRows """,
    251: "ExtensionDirectories",
    252: "ConditionCredential",
    253: "LogFilterPatterns MemoryZSwapMax OpenFile ReloadSignal",
    254: """
        DefaultStartupMemoryLow DelegateSubgroup ExtensionImagePolicy FileDescriptorStorePreserve ImportCredential
        MemoryKSM MemoryPressureThresholdSec MemoryPressureWatch MountImagePolicy RestartMaxDelaySec RestartMode
        RestartSteps RootEphemeral RootImagePolicy StartupMemoryHigh StartupMemoryLow StartupMemoryMax
        StartupMemorySwapMax StartupMemoryZSwapMax UpheldBy """,
    255: """
        CoredumpReceive NFTSet PollLimitBurst PollLimitIntervalSec SetLoginEnvironment SurviveFinalKillSignal """,
    256: "MemoryZSwapWriteback PassFileDescriptorsToExec WantsMountsFor",
    257: "BindLogSockets DeferReactivation ManagedOOMMemoryPressureDurationSec PrivatePIDs",
}

SINCE: dict[str, int] = {key: version for version, keys in _ADDED.items() for key in keys.split()}
"""Keys that came after systemd 241, buster's -> the version that brought them; up to 257, trixie's.

Sources: systemd's manual pages ("Added in version"), its NEWS where these are wrong, and the keys that the systemd of
bullseye, bookworm and trixie prints (``--dump-configuration-items``). tests/engine/test_systemd.py compares.
"""
# There is no AssertFirmware.
SINCE |= {
    f"Assert{key.removeprefix('Condition')}": version
    for key, version in SINCE.items()
    if key.startswith("Condition") and key != "ConditionFirmware"
}

COMMENTS = ("#", ";")
IGNORED_SECTIONS = "[X-"
"""Sections of other programs (systemd.unit(5))."""


@dataclass(frozen=True)
class NewSetting:
    """A setting whose key came with systemd ``since``; ``lines`` are the places of its lines, counted from 0."""

    key: str
    value: str
    since: int
    lines: range


def newer_settings(text: str, version: int) -> list[NewSetting]:
    """Return the settings of a unit whose keys systemd ``version`` does not know, in their order."""
    return [setting for setting in _new_settings(text.split("\n")) if setting.since > version]


def for_systemd(text: str, version: int) -> str:
    """Return a unit without the keys that came after systemd ``version``.

    A comment replaces each, so that the system's owner sees which protection is missing. Values stay: systemd ignores a
    weak dependency on a unit that is missing (systemd.unit(5)), as ``modprobe@.service`` is before 245.
    """
    lines = text.split("\n")
    for setting in reversed(newer_settings(text, version)):
        assignment = f"{setting.key}={setting.value}"
        note = f"# {assignment} needs systemd {setting.since}; this system has {version}."
        lines[setting.lines.start : setting.lines.stop] = [note]
    return "\n".join(lines)


def _new_settings(lines: list[str]) -> Iterator[NewSetting]:
    ignored = False
    end = 0
    while end < len(lines):
        start = end
        content, end = _logical_line(lines, start)
        if content.startswith("["):
            ignored = content.startswith(IGNORED_SECTIONS)
        key, equals, value = content.partition("=")
        key = key.rstrip()
        if equals and not ignored and key in SINCE:
            yield NewSetting(key, " ".join(value.split()), SINCE[key], range(start, end))


def _logical_line(lines: list[str], start: int) -> tuple[str, int]:
    r"""Return the line at ``start`` with all that a ``\`` at its end continues, and the number of the next line.

    Comments between such lines are not part of it, and a comment is never continued (systemd.syntax(7)).
    """
    content, end = lines[start].lstrip(), start + 1
    if content.startswith(COMMENTS):
        return "", end
    while _continued(content) and end < len(lines):
        more = lines[end].lstrip()
        end += 1
        if not more.startswith(COMMENTS):
            content = f"{content[:-1]} {more}"
    return content.removesuffix("\\") if _continued(content) else content, end


def _continued(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1
