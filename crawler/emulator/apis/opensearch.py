"""The operations of OpenSearch (2017-12-25), one row each.

Paths, parameters and bounds: the official SDK package and the documentation pages (checked 2026-11-22). If a page
doesn't name a RAM action, that of its siblings is assumed.
"""

from __future__ import annotations

from functools import partial

from crawler.emulator.apis.operation import PAGE_SIZE, Bounds, EmulatedOperation, EmulatedPaging, LastToken

GROUPS = "/v4/openapi/app-groups"
GROUP = f"{GROUPS}/{{appGroupIdentity}}"
APP = f"{GROUP}/apps/{{appId}}"
FUNCTION = f"{GROUP}/functions/{{functionName}}"
SCENES = f"{GROUP}/scenes"
AB_GROUPS = f"{SCENES}/{{sceneId}}/groups"
EXPERIMENTS = f"{AB_GROUPS}/{{groupId}}/experiments"
SLOW = f"{GROUP}/optimizers/slow-query/categories"
DICTIONARIES = "/v4/openapi/intervention-dictionaries"
ANALYZERS = "/v4/openapi/user-analyzers"
SOURCE = "/v4/openapi/assist/data-sources/{dataSourceType}"

IN_GROUP = ("AppGroup.NotExist",)
IN_APP = (*IN_GROUP, "App.NotFound")
IN_FUNCTION = (*IN_GROUP, "Instance.NotExist")
IN_INSTANCE = (*IN_FUNCTION, "Instance.NotExist")
IN_SCENE = (*IN_GROUP, "ABTestScene.NotExist")
IN_AB_GROUP = (*IN_SCENE, "ABTestGroup.NotExist")
IN_EXPERIMENT = (*IN_AB_GROUP, "ABTestExperiment.NotExist")

# Namespaces, so that an app's ID isn't found as a scene's.
IN_APPS, IN_FUNCTIONS, IN_SCENES = "opensearch/apps", "opensearch/functions", "opensearch/scenes"
FLAG = ("", "true", "false", "True", "False")  # the official SDK for Python sends them with a capital
MODULES = ("app", "app-query", "abtest", "suggest", "hot", "hint", "data-quality", "es")
SOURCE_TYPES = ("rds", "polardb", "odps", "mysql", "drds")
SPAN = ("start", "end")
SORTS = ("", "max", "avg", "sum", "queryProportion")

# A list without pages, and a list by page numbers.
_whole = partial(
    EmulatedOperation, product="opensearch", paging=EmulatedPaging.NONE, records="result", envelope="result"
)
_paged = partial(_whole, paging=EmulatedPaging.NUMBER, bounds=PAGE_SIZE)
_function = partial(_paged, records="Result", namespace=IN_FUNCTIONS, envelope="function")

ROOTS: tuple[EmulatedOperation, ...] = (
    _whole(
        action="DescribeRegions",
        path="/v4/openapi/regions",
        ram="opensearch:DescribeRegions",
        key=("regionId",),
    ),
    _paged(
        action="ListAppGroups",
        path=GROUPS,
        ram="opensearch:ListAppGroup",
        key=("name",),
        child_namespace="opensearch",
        choices={"sortBy": ("0", "1"), "type": ("", "standard", "enhanced")},
        filters={
            "name": ("name", "contains"),
            "type": ("type", "equal"),
            "instanceId": ("instanceId", "equal"),
        },
    ),
    _whole(
        action="ListTagResources",
        path="/v4/openapi/resource-tags",
        paging=EmulatedPaging.TOKEN,
        ram="opensearch:ListTagResources",
        key=("resourceId", "tagKey"),
        bounds=Bounds("", 50, 50, 50),  # there is no page size parameter
        last_token=LastToken.EMPTY,
        required=("resourceType",),
    ),
    _whole(
        action="ListDataSourceTables",
        path=f"{SOURCE}/tables",
        ram="opensearch:ListDataSourceTables",
        required=("params",),
        choices={"dataSourceType": SOURCE_TYPES},
    ),
    _whole(
        action="ListDataSourceTableFields",
        path=f"{SOURCE}/fields",
        ram="opensearch:ListDataSourceTableFields",
        required=("params",),
        choices={"dataSourceType": SOURCE_TYPES, "rawType": FLAG},
        envelope="single",
    ),
    _whole(
        action="ListQueryProcessorNers",
        path="/v4/openapi/query-processor/ner/default-priorities",
        ram="opensearch:ListQueryProcessorNers",
        key=("tag",),
        choices={"domain": ("", "ECOMMERCE")},
    ),
)

DICTIONARY: tuple[EmulatedOperation, ...] = (
    _paged(
        action="ListInterventionDictionaries",
        path=DICTIONARIES,
        ram="opensearch:ListInterventionDictionaries",
        key=("name",),
        child_namespace="dictionaries",
    ),
    _paged(
        action="ListInterventionDictionaryEntries",
        path=f"{DICTIONARIES}/{{name}}/entries",
        ram="opensearch:DescribeInterventionDictionary",
        key=("word",),
        not_found_codes=("InterventionDictionary.NotFound",),
        namespace="dictionaries",
        filters={"word": ("word", "equal")},
    ),
    _whole(
        action="ListInterventionDictionaryNerResults",
        path=f"{DICTIONARIES}/{{name}}/ner-results",
        ram="opensearch:DescribeInterventionDictionary",
        key=("order",),
        rank="up",
        not_found_codes=("InterventionDictionary.NotFound",),
        namespace="dictionaries",
        required=("query",),
    ),
    _whole(
        action="ListInterventionDictionaryRelatedEntities",
        path=f"{DICTIONARIES}/{{name}}/related",
        ram="opensearch:DescribeInterventionDictionary",
        not_found_codes=("InterventionDictionary.NotFound",),
        namespace="dictionaries",
    ),
    _paged(
        action="ListUserAnalyzers",
        path=ANALYZERS,
        ram="opensearch:ListUserAnalyzers",
        key=("name",),
        child_namespace="analyzers",
    ),
    _paged(
        action="ListUserAnalyzerEntries",
        path=f"{ANALYZERS}/{{name}}/entries",
        ram="opensearch:DescribeUserAnalyzer",
        total="",
        not_found_codes=("UserAnalyzer.NotFound",),
        namespace="analyzers",
        filters={"word": ("key", "equal")},
        envelope="entries",
    ),
)

OF_GROUP: tuple[EmulatedOperation, ...] = (
    _whole(
        action="DescribeApps",
        path=f"{GROUP}/apps",
        ram="opensearch:ListApp",
        key=("id",),
        not_found_codes=IN_GROUP,
        child_namespace=IN_APPS,
    ),
    _paged(
        action="ListDataCollections",
        path=f"{GROUP}/data-collections",
        ram="opensearch:ListDataCollections",
        key=("id",),
        not_found_codes=IN_GROUP,
    ),
    _whole(
        action="ListElasticPlans",
        path=f"{GROUP}/elastic-plans",
        paging=EmulatedPaging.TOKEN,
        ram="opensearch:ListElasticPlans",
        key=("id",),
        rank="up",
        not_found_codes=IN_GROUP,
        bounds=Bounds("maxResults", 1, 100, 10),
        last_token=LastToken.EMPTY,
        choices={"enabled": FLAG},
        filters={"name": ("name", "equal"), "enabled": ("enabled", "same")},
        envelope="plans",
    ),
    _paged(
        action="ListQuotaReviewTasks",
        path=f"{GROUP}/quota-review-tasks",
        ram="opensearch:DescribeApp",
        key=("id",),
        not_found_codes=IN_GROUP,
    ),
    _paged(
        action="ListScheduledTasks",
        path=f"{GROUP}/scheduled-tasks",
        ram="opensearch:ListScheduledTask",
        not_found_codes=IN_GROUP,
        choices={"enabled": FLAG},
        filters={"type": ("type", "equal"), "id": ("id", "equal"), "enabled": ("enabled", "same")},
    ),
    _whole(
        action="ListProceedings",
        path=f"{GROUP}/proceedings",
        ram="opensearch:ListProceedings",
        not_found_codes=IN_GROUP,
        choices={"filterFinished": FLAG},
        envelope="bare",
    ),
    _whole(
        action="ListSlowQueryCategories",
        path=SLOW,
        ram="opensearch:ListSlowQueryCategories",
        not_found_codes=IN_GROUP,
        required=SPAN,
        choices={"sort": SORTS},
        envelope="single",
    ),
    _whole(
        action="ListSlowQueryQueries",
        path=f"{SLOW}/{{categoryIndex}}/queries",
        ram="opensearch:ListSlowQueryQueries",
        not_found_codes=(*IN_GROUP, "SlowQueryCategory.NotFound"),
        namespace="opensearch/categories",
        required=SPAN,
        envelope="single",
    ),
    _paged(
        action="ListStatisticLogs",
        path=f"{GROUP}/statistic-logs/{{moduleName}}",
        ram="opensearch:ListStatisticLogs",
        not_found_codes=IN_GROUP,
        choices={"moduleName": ("hot",), "distinct": FLAG},
    ),
    _paged(
        action="ListStatisticReport",
        path=f"{GROUP}/statistic-report/{{moduleName}}",
        ram="opensearch:ListStatisticReport",
        not_found_codes=IN_GROUP,
        choices={"moduleName": MODULES},
    ),
)

OF_APP: tuple[EmulatedOperation, ...] = (
    _whole(
        action="ListFirstRanks",
        path=f"{APP}/first-ranks",
        ram="opensearch:ListFirstRank",
        key=("name",),
        not_found_codes=IN_APP,
        namespace=IN_APPS,
    ),
    _whole(
        action="ListSecondRanks",
        path=f"{APP}/second-ranks",
        ram="opensearch:ListSecondRank",
        key=("name",),
        not_found_codes=IN_APP,
        namespace=IN_APPS,
        envelope="counted",
    ),
    _paged(
        action="ListSortExpressions",
        path=f"{APP}/sort-expressions",
        ram="opensearch:ListSortExpression",
        key=("name",),
        total="",
        not_found_codes=IN_APP,
        namespace=IN_APPS,
    ),
    _whole(
        action="ListSortScripts",
        path=f"{GROUP}/apps/{{appVersionId}}/sort-scripts",
        ram="opensearch:DescribeSortScript",
        key=("scriptName",),
        not_found_codes=IN_APP,
        absent_code="InvalidAppSpec",
        namespace=IN_APPS,
    ),
    _whole(
        action="ListSearchStrategies",
        path=f"{APP}/search-strategies",
        ram="opensearch:DescribeSearchStrategy",
        key=("name",),
        not_found_codes=IN_APP,
        namespace=IN_APPS,
        envelope="bare",
    ),
    _whole(
        action="ListQueryProcessors",
        path=f"{APP}/query-processors",
        ram="opensearch:ListQueryProcessor",
        key=("name",),
        not_found_codes=IN_APP,
        namespace=IN_APPS,
        child_namespace=f"{IN_APPS}/processors",
        choices={"isActive": ("0", "1", "2")},
    ),
    _whole(
        action="ListQueryProcessorAnalyzerResults",
        path=f"{APP}/query-processors/{{name}}/analyze",
        ram="opensearch:DescribeQueryProcessor",
        not_found_codes=(*IN_APP, "QueryProcessor.NotFound"),
        namespace=f"{IN_APPS}/processors",
        required=("text",),
        request_id="RequestId",
        envelope="single",
    ),
)

OF_FUNCTION: tuple[EmulatedOperation, ...] = (
    _function(
        action="ListFunctionInstances",
        path=f"{FUNCTION}/instances",
        ram="opensearch:DescribeFunction",
        key=("InstanceName",),
        not_found_codes=IN_FUNCTION,
        child_namespace=f"{IN_FUNCTIONS}/instances",
        choices={"source": ("user", "builtin", "all"), "output": ("normal", "simple", "detail")},
        filters={"functionType": ("FunctionType", "equal"), "modelType": ("ModelType", "equal")},
    ),
    _function(
        action="ListFunctionResources",
        path=f"{FUNCTION}/resources",
        ram="opensearch:DescribeFunction",
        key=("ResourceName",),
        not_found_codes=IN_FUNCTION,
        choices={"resourceType": ("", "feature_generator", "raw_file"), "output": ("normal", "simple", "detail")},
        filters={"resourceType": ("ResourceType", "equal")},
    ),
    _function(
        action="ListFunctionTasks",
        path=f"{FUNCTION}/instances/{{instanceName}}/tasks",
        ram="opensearch:DescribeFunction",
        key=("StartTime",),
        rank="down",
        not_found_codes=IN_INSTANCE,
        namespace=f"{IN_FUNCTIONS}/instances",
        bounds=Bounds("pageSize", 1, 100, 1),
        choices={"status": ("", "success", "failed", "running")},
        filters={
            "status": ("Status", "equal"),
            "startTime": ("StartTime", "since"),
            "endTime": ("EndTime", "until"),
        },
    ),
)

AB_TESTS: tuple[EmulatedOperation, ...] = (
    _whole(
        action="ListABTestScenes",
        path=SCENES,
        ram="opensearch:ListApp",
        key=("id",),
        not_found_codes=IN_GROUP,
        child_namespace=IN_SCENES,
    ),
    _whole(
        action="ListABTestGroups",
        path=AB_GROUPS,
        ram="opensearch:ListApp",
        key=("id",),
        not_found_codes=IN_SCENE,
        namespace=IN_SCENES,
        child_namespace=f"{IN_SCENES}/groups",
    ),
    _whole(
        action="ListABTestExperiments",
        path=EXPERIMENTS,
        ram="opensearch:ListApp",
        key=("id",),
        not_found_codes=IN_AB_GROUP,
        namespace=f"{IN_SCENES}/groups",
        child_namespace=f"{IN_SCENES}/groups/experiments",
    ),
    _whole(
        action="ListABTestFixedFlowDividers",
        path=f"{EXPERIMENTS}/{{experimentId}}/fixed-flow-dividers",
        ram="opensearch:ListApp",
        not_found_codes=IN_EXPERIMENT,
        namespace=f"{IN_SCENES}/groups/experiments",
    ),
)

OPERATIONS: tuple[EmulatedOperation, ...] = (*ROOTS, *DICTIONARY, *OF_GROUP, *OF_APP, *OF_FUNCTION, *AB_TESTS)
