"""What changes from one day to the next, by operation: which lists take part, and which fields of their records.

Fields are paths of wire names; of several, one that the record has is taken. Operations that aren't here change their
description, where they have one.
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
    "fnf.ListFlows": ("Definition", "Description"),
    "fnf.ListSchedules": ("Enable",),
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
}

# Lists that are as they are: they follow others, or are asked for with a text of one's own.
STILL = frozenset(
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
    }
)
# No record comes by itself: each belongs to a function or service.
NEVER_ADDED = frozenset(
    {
        "fc.ListAsyncInvokeConfigs",
        "fc.ListConcurrencyConfigs",
        "fc.ListProvisionConfigs",
        "fc.ListScalingConfigs",
        "fc-open.ListOnDemandConfigs",
        "fc-open.ListProvisionConfigs",
        "fc-open.ListTaggedResources",
    }
)
# The same ones for ever.
ONLY_CHANGED = frozenset({"opensearch.ListQueryProcessorNers"})
# Answers of one object, and those that are one object where there is one record.
ENVELOPES_OF_ONE = frozenset({"single", "bare", "entries"})

# Addresses that are signed anew for every answer; here, for every day.
SIGNED = frozenset({"fc.ListLayers", "fc.ListLayerVersions", "fc-open.ListLayers", "fc-open.ListLayerVersions"})

# What people give a name to; other keys are numbers, or made from the one that is copied.
NAMED = frozenset(
    {
        "fc.ListFunctions",
        "fc.ListLayers",
        "fc-open.ListServices",
        "fc-open.ListFunctions",
        "fc-open.ListLayers",
        "fnf.ListFlows",
        "opensearch.ListAppGroups",
    }
)

# Where the first fields of an operation's order aren't what tells its records apart.
IDENTITIES: Mapping[str, tuple[str, ...]] = {
    "fc.ListAsyncTasks": ("taskId",),
    "fc.ListSnapshots": ("snapshotId",),
    "fc-open.ListStatefulAsyncInvocations": ("invocationId",),
    "opensearch.ListFunctionTasks": ("RunId",),
    "opensearch.ListScheduledTasks": ("id",),
}

# What is new in a record besides its name.
ALSO_NEW: Mapping[str, tuple[str, ...]] = {"opensearch.ListAppGroups": ("id",)}

# Parent → the lists of the whole region that name it: (operation, field that names it, the parent's field).
REFERENCES: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "fc.ListFunctions": (
        ("fc.ListAsyncInvokeConfigs", "functionArn", "functionName"),
        ("fc.ListConcurrencyConfigs", "functionArn", "functionName"),
        ("fc.ListProvisionConfigs", "functionArn", "functionName"),
        ("fc.ListScalingConfigs", "functionArn", "functionName"),
        ("fc.ListSnapshots", "functionName", "functionName"),
        ("fc.ListTagResources", "ResourceId", "functionName"),
    ),
    "fc-open.ListServices": (
        ("fc-open.ListStatefulAsyncInvocationFunctions", "serviceName", "serviceName"),
        ("fc-open.ListOnDemandConfigs", "resource", "serviceName"),
        ("fc-open.ListProvisionConfigs", "resource", "serviceName"),
        ("fc-open.ListTaggedResources", "resourceArn", "serviceName"),
    ),
    "fc-open.ListFunctions": (
        ("fc-open.ListStatefulAsyncInvocationFunctions", "functionName", "functionName"),
        ("fc-open.ListOnDemandConfigs", "resource", "functionName"),
        ("fc-open.ListProvisionConfigs", "resource", "functionName"),
    ),
    "opensearch.ListAppGroups": (
        ("opensearch.ListTagResources", "resourceId", "id"),
        ("opensearch.ListInterventionDictionaryRelatedEntities", "appGroup", "name"),
    ),
    "opensearch.ListFirstRanks": (("opensearch.ListSortExpressions", "name", "name"),),
    "opensearch.ListSecondRanks": (("opensearch.ListSortExpressions", "name", "name"),),
}


def identity(operation: EmulatedOperation) -> tuple[str, ...]:
    """The fields that tell an operation's records apart within a list; none where nothing does."""
    return IDENTITIES.get(operation.name, operation.key)


def names(record: Any, field: str, wanted: str) -> bool:
    """Whether a record's field, a name or an ARN of any notation, is about what is called so."""
    return isinstance(record, dict) and wanted in re.split("[:/#.]", str(record.get(field)))
