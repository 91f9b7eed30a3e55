"""The rules of change from one day to the next, by operation: lists and fields.

Fields are paths of wire names; of several, one that the record has is changed. Operations that aren't listed change
their description, if they have one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crawler.emulator.apis.operation import EmulatedOperation

DESCRIPTIONS = ("description", "Description")

FIELDS: Mapping[str, tuple[str, ...]] = {
    "fc.ListFunctions": ("memorySize", "runtime", "environmentVariables.API_TOKEN", "timeout", "internetAccess"),
    "fc.ListAliases": ("versionId", "description"),
    "fc.ListTriggers": ("triggerConfig", "description"),
    "fc.ListInstances": ("status",),
    "fc.ListSessions": ("sessionIdleTimeoutInSeconds",),
    "fc.ListAsyncTasks": ("alreadyRetriedTimes",),
    "fc.ListAsyncInvokeConfigs": ("maxAsyncRetryAttempts", "maxAsyncEventAgeInSeconds"),
    "fc.ListConcurrencyConfigs": ("reservedConcurrency",),
    "fc.ListProvisionConfigs": ("target", "current"),
    "fc.ListScalingConfigs": ("targetInstances", "minInstances"),
    "fc.ListCustomDomains": ("protocol", "certConfig.certificate"),
    "fc.ListLayerVersions": ("acl",),
    "fc.ListSnapshots": ("diskSizeMB", "envs.API_TOKEN"),
    "fc-open.ListServices": ("internetAccess", "description"),
    "fc-open.ListAliases": ("versionId", "resolvePolicy"),
    "fc-open.ListFunctions": ("memorySize", "environmentVariables.DB_PASSWORD", "timeout"),
    "fc-open.ListInstances": ("versionId",),
    "fc-open.ListFunctionAsyncInvokeConfigs": ("maxAsyncRetryAttempts", "statefulInvocation"),
    "fc-open.ListTriggers": ("triggerConfig", "description"),
    "fc-open.ListStatefulAsyncInvocations": ("alreadyRetriedTimes",),
    "fc-open.ListOnDemandConfigs": ("maximumInstanceCount",),
    "fc-open.ListProvisionConfigs": ("target", "current"),
    "fc-open.ListCustomDomains": ("protocol", "certConfig.certificate"),
    "fc-open.ListLayerVersions": ("acl",),
    "fc-open.ListReservedCapacities": ("cu",),
    "fc-open.ListTaggedResources": ("tags.cost-center",),
    "fcsandbox.ListTeams": ("plan", "description"),
    "fcsandbox.ListApiKeys": ("status", "apiKeyValue"),
    "fcsandbox.ListQuota": ("cpuCores", "memoryGB"),
    "fcsandbox.ListTemplates": ("runtimeConfig.memorySize", "runtimeConfig.sandboxConfig.startCommand"),
    "fcsandbox.ListTemplateCache": ("progress", "status"),
    "fcsandbox.ListVolumes": ("status", "mountConfig.role"),
    "ram.ListRoles": ("MaxSessionDuration", "Description"),
    "ram.ListUsers": ("Comments", "DisplayName"),
    "ram.ListGroups": ("Comments",),
    "ram.ListPolicies": ("Description",),
    "ram.ListAccessKeys": ("Status",),
    "opensearch.ListAppGroups": ("quota.docSize", "description", "produced"),
    "opensearch.DescribeApps": ("quota.qps", "autoSwitch"),
    "opensearch.ListDataCollections": ("status",),
    "opensearch.ListElasticPlans": ("elasticLcu", "enabled"),
    "opensearch.ListQuotaReviewTasks": ("approved",),
    "opensearch.ListScheduledTasks": ("enabled",),
    "opensearch.ListProceedings": ("progress",),
    "opensearch.ListSlowQueryCategories": ("start",),
    "opensearch.ListStatisticLogs": ("pv",),
    "opensearch.ListStatisticReport": ("pv",),
    "opensearch.ListFirstRanks": ("active",),
    "opensearch.ListSecondRanks": ("active",),
    "opensearch.ListSortScripts": ("status",),
    "opensearch.ListSearchStrategies": ("status",),
    "opensearch.ListQueryProcessors": ("active",),
    "opensearch.ListQueryProcessorNers": ("priority",),
    "opensearch.ListFunctionInstances": ("VersionId", "Status"),
    "opensearch.ListFunctionResources": ("Data.Content", "Description"),
    "opensearch.ListFunctionTasks": ("Status",),
    "opensearch.ListABTestScenes": ("status",),
    "opensearch.ListABTestGroups": ("status",),
    "opensearch.ListABTestExperiments": ("traffic", "online"),
    "opensearch.ListInterventionDictionaries": ("analyzer",),
    "opensearch.ListInterventionDictionaryEntries": ("status", "cmd"),
    "opensearch.ListUserAnalyzers": ("available",),
    "opensearch.ListUserAnalyzerEntries": ("status",),
    "searchengine.ListInstances": ("description", "inDebt", "network.allow"),
    "searchengine.ListClusters": ("description",),
    "searchengine.ListDataSources": ("status",),
    "searchengine.ListDataSourceSchemas": ("summary",),
    "searchengine.ListDateSourceGenerations": ("buildDeployId",),
    "searchengine.ListIndexes": ("fullVersion", "dataSourceInfo.config.accessSecret"),
    "searchengine.ListIndexRecoverRecords": ("generationId",),
    "searchengine.ListModels": ("dimension", "content.request.header.Authorization"),
    "searchengine.ListOnlineConfigs": ("config",),
    "searchengine.ListPausePolicys": ("result.general.pauseAll",),
    "searchengine.ListTables": ("status",),
    "searchengine.ListAdvanceConfigs": ("desc", "content"),
}

# Lists that don't change by themselves: they follow others, or depend on a text in the request.
UNCHANGED = frozenset(
    {
        "fc.ListTagResources",
        "opensearch.ListTagResources",
        "opensearch.ListDataSourceTables",
        "opensearch.ListDataSourceTableFields",
        "opensearch.ListInterventionDictionaryNerResults",
        "opensearch.ListInterventionDictionaryRelatedEntities",
        "opensearch.ListQueryProcessorAnalyzerResults",
        "opensearch.ListSlowQueryQueries",
        "opensearch.ListSortExpressions",
        "ram.ListEntitiesForPolicy",
        "ram.ListTagResources",
        "ram.ListUsersForGroup",
        "searchengine.ListClusterNames",
        "searchengine.ListInstanceSpecs",
        "searchengine.ListLogs",
        "searchengine.ListTagResources",
        "searchengine.ListTasks",
    }
)
# Details that have secrets which their list lacks.
SECRET_DETAILS = frozenset({"ram.GetRole"})
# Records are only added with their function, service, team or template, or with the role, user or group that has the
# policy.
_CONFIGS = tuple(f"fc.List{kind}Configs" for kind in ("AsyncInvoke", "Concurrency", "Provision", "Scaling"))
_OPEN_CONFIGS = ("fc-open.ListOnDemandConfigs", "fc-open.ListProvisionConfigs", "fc-open.ListTaggedResources")
_ATTACHED = tuple(f"ram.ListPoliciesFor{kind}" for kind in ("Role", "User", "Group"))
_OF_SANDBOXES = ("fcsandbox.ListQuota", "fcsandbox.ListTemplateCache")
NEVER_ADDED = frozenset({*_CONFIGS, *_OPEN_CONFIGS, *_ATTACHED, *_OF_SANDBOXES, "ram.ListGroupsForUser"})
# No record is added or removed, except with its parent.
ONLY_CHANGED = frozenset(
    {"opensearch.ListQueryProcessorNers", "searchengine.ListAdvanceConfigs", "searchengine.ListClusters"}
)
# Envelopes with one object, always or if there is only one record.
ENVELOPES_OF_ONE = frozenset({"single", "bare", "entries", "names", "whole"})

# URLs that the service signs for each response; here they are signed again on each day.
SIGNED = frozenset({"fc.ListLayers", "fc.ListLayerVersions", "fc-open.ListLayers", "fc-open.ListLayerVersions"})

# Records with a name that users choose. Other keys are numbers, or derived from the copied record's key.
NAMED = frozenset(
    {
        "fc.ListFunctions",
        "fc.ListLayers",
        "fc-open.ListServices",
        "fc-open.ListFunctions",
        "fc-open.ListLayers",
        "opensearch.ListAppGroups",
    }
)

# The identifying fields, where they aren't the fields of the order.
IDENTITIES: Mapping[str, tuple[str, ...]] = {
    "fc.ListAsyncTasks": ("taskId",),
    "fc.ListSnapshots": ("snapshotId",),
    "fc-open.ListStatefulAsyncInvocations": ("invocationId",),
    "opensearch.ListFunctionTasks": ("RunId",),
    "opensearch.ListScheduledTasks": ("id",),
    "ram.ListPolicies": ("PolicyType", "PolicyName"),
}

# Fields that get a new value in a copy, in addition to its name.
ALSO_NEW: Mapping[str, tuple[str, ...]] = {
    "opensearch.ListAppGroups": ("id",),
    "ram.ListGroups": ("GroupId",),
    "ram.ListPolicyVersions": ("PolicyDocument",),
    "ram.ListRoles": ("RoleId",),
    "ram.ListUsers": ("UserId",),
}

# Parent → the region's lists that name it: (operation, field with the name, the parent's field).
REFERENCES: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "fc.ListFunctions": (
        *((name, "functionArn", "functionName") for name in _CONFIGS),
        ("fc.ListSnapshots", "functionName", "functionName"),
        ("fc.ListTagResources", "ResourceId", "functionName"),
    ),
    "fc-open.ListServices": (
        ("fc-open.ListStatefulAsyncInvocationFunctions", "serviceName", "serviceName"),
        *((name, "resource", "serviceName") for name in _OPEN_CONFIGS),
        ("fc-open.ListTaggedResources", "resourceArn", "serviceName"),
    ),
    "fc-open.ListFunctions": (
        ("fc-open.ListStatefulAsyncInvocationFunctions", "functionName", "functionName"),
        *((name, "resource", "functionName") for name in _OPEN_CONFIGS),
    ),
    "fcsandbox.ListTeams": (
        ("fcsandbox.ListApiKeys", "teamID", "teamID"),
        ("fcsandbox.ListQuota", "tagValue", "teamID"),
    ),
    "fcsandbox.ListTemplates": (("fcsandbox.ListTemplateCache", "templateID", "templateID"),),
    "opensearch.ListAppGroups": (
        ("opensearch.ListTagResources", "resourceId", "id"),
        ("opensearch.ListInterventionDictionaryRelatedEntities", "appGroup", "name"),
    ),
    "ram.ListPolicies": tuple((name, "PolicyName", "PolicyName") for name in _ATTACHED),
    "ram.ListGroups": (("ram.ListGroupsForUser", "GroupName", "GroupName"),),
    "ram.ListUsers": (("ram.ListVirtualMFADevices", "SerialNumber", "UserName"),),
    "opensearch.ListFirstRanks": (("opensearch.ListSortExpressions", "name", "name"),),
    "opensearch.ListSecondRanks": (("opensearch.ListSortExpressions", "name", "name"),),
    "searchengine.ListInstances": (("searchengine.ListTagResources", "resourceId", "instanceId"),),
}


def identity(operation: EmulatedOperation) -> tuple[str, ...]:
    """Return the fields that identify a record within a list; empty if no field does."""
    return IDENTITIES.get(operation.name, operation.key)


def names(record: Any, field: str, wanted: str) -> bool:
    """Return whether a record's field, a name or an ARN of any notation, contains the wanted name."""
    return isinstance(record, dict) and wanted in re.split("[:/#.]", str(record.get(field)))
