"""The operations of OpenSearch (2017-12-25), one row each.

Paths, parameters and bounds: the official SDK package and the documentation pages (checked 2026-11-22). Where a page
discloses no RAM action, its siblings' is assumed.
"""

from __future__ import annotations

from functools import partial

from crawler.emulator.apis.operation import PAGE_SIZE, Bounds, EmulatedOperation, EmulatedPaging, End

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

# Spaces of names: an app's ID in the place of a scene's names nothing.
IN_APPS, IN_FUNCTIONS, IN_SCENES = "opensearch/apps", "opensearch/functions", "opensearch/scenes"
FLAG = ("", "true", "false", "True", "False")  # the official SDK for Python sends them with a capital
MODULES = ("app", "app-query", "abtest", "suggest", "hot", "hint", "data-quality", "es")
SOURCE_TYPES = ("rds", "polardb", "odps", "mysql", "drds")
SPAN = ("start", "end")
SORTS = ("", "max", "avg", "sum", "queryProportion")

# A list in one piece, and a list by page numbers.
_whole = partial(
    EmulatedOperation, product="opensearch", paging=EmulatedPaging.NONE, records="result", envelope="result"
)
_paged = partial(_whole, paging=EmulatedPaging.NUMBER, bounds=PAGE_SIZE)
_function = partial(_paged, records="Result", space=IN_FUNCTIONS, envelope="function")

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
        names="opensearch",
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
        bounds=Bounds("", 50, 50, 50),  # there is no parameter for the size
        end=End.EMPTY,
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
        names="dictionaries",
    ),
    _paged(
        action="ListInterventionDictionaryEntries",
        path=f"{DICTIONARIES}/{{name}}/entries",
        ram="opensearch:DescribeInterventionDictionary",
        key=("word",),
        missing=("InterventionDictionary.NotFound",),
        space="dictionaries",
        filters={"word": ("word", "equal")},
    ),
    _whole(
        action="ListInterventionDictionaryNerResults",
        path=f"{DICTIONARIES}/{{name}}/ner-results",
        ram="opensearch:DescribeInterventionDictionary",
        key=("order",),
        rank="up",
        missing=("InterventionDictionary.NotFound",),
        space="dictionaries",
        required=("query",),
    ),
    _whole(
        action="ListInterventionDictionaryRelatedEntities",
        path=f"{DICTIONARIES}/{{name}}/related",
        ram="opensearch:DescribeInterventionDictionary",
        missing=("InterventionDictionary.NotFound",),
        space="dictionaries",
    ),
    _paged(
        action="ListUserAnalyzers",
        path=ANALYZERS,
        ram="opensearch:ListUserAnalyzers",
        key=("name",),
        names="analyzers",
    ),
    _paged(
        action="ListUserAnalyzerEntries",
        path=f"{ANALYZERS}/{{name}}/entries",
        ram="opensearch:DescribeUserAnalyzer",
        total="",
        missing=("UserAnalyzer.NotFound",),
        space="analyzers",
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
        missing=IN_GROUP,
        names=IN_APPS,
    ),
    _paged(
        action="ListDataCollections",
        path=f"{GROUP}/data-collections",
        ram="opensearch:ListDataCollections",
        key=("id",),
        missing=IN_GROUP,
    ),
    _whole(
        action="ListElasticPlans",
        path=f"{GROUP}/elastic-plans",
        paging=EmulatedPaging.TOKEN,
        ram="opensearch:ListElasticPlans",
        key=("id",),
        rank="up",
        missing=IN_GROUP,
        bounds=Bounds("maxResults", 1, 100, 10),
        end=End.EMPTY,
        choices={"enabled": FLAG},
        filters={"name": ("name", "equal"), "enabled": ("enabled", "same")},
        envelope="plans",
    ),
    _paged(
        action="ListQuotaReviewTasks",
        path=f"{GROUP}/quota-review-tasks",
        ram="opensearch:DescribeApp",
        key=("id",),
        missing=IN_GROUP,
    ),
    _paged(
        action="ListScheduledTasks",
        path=f"{GROUP}/scheduled-tasks",
        ram="opensearch:ListScheduledTask",
        missing=IN_GROUP,
        choices={"enabled": FLAG},
        filters={"type": ("type", "equal"), "id": ("id", "equal"), "enabled": ("enabled", "same")},
    ),
    _whole(
        action="ListProceedings",
        path=f"{GROUP}/proceedings",
        ram="opensearch:ListProceedings",
        missing=IN_GROUP,
        choices={"filterFinished": FLAG},
        envelope="bare",
    ),
    _whole(
        action="ListSlowQueryCategories",
        path=SLOW,
        ram="opensearch:ListSlowQueryCategories",
        missing=IN_GROUP,
        required=SPAN,
        choices={"sort": SORTS},
        envelope="single",
    ),
    _whole(
        action="ListSlowQueryQueries",
        path=f"{SLOW}/{{categoryIndex}}/queries",
        ram="opensearch:ListSlowQueryQueries",
        missing=(*IN_GROUP, "SlowQueryCategory.NotFound"),
        space="opensearch/categories",
        required=SPAN,
        envelope="single",
    ),
    _paged(
        action="ListStatisticLogs",
        path=f"{GROUP}/statistic-logs/{{moduleName}}",
        ram="opensearch:ListStatisticLogs",
        missing=IN_GROUP,
        choices={"moduleName": ("hot",), "distinct": FLAG},
    ),
    _paged(
        action="ListStatisticReport",
        path=f"{GROUP}/statistic-report/{{moduleName}}",
        ram="opensearch:ListStatisticReport",
        missing=IN_GROUP,
        choices={"moduleName": MODULES},
    ),
)

OF_APP: tuple[EmulatedOperation, ...] = (
    _whole(
        action="ListFirstRanks",
        path=f"{APP}/first-ranks",
        ram="opensearch:ListFirstRank",
        key=("name",),
        missing=IN_APP,
        space=IN_APPS,
    ),
    _whole(
        action="ListSecondRanks",
        path=f"{APP}/second-ranks",
        ram="opensearch:ListSecondRank",
        key=("name",),
        missing=IN_APP,
        space=IN_APPS,
        envelope="counted",
    ),
    _paged(
        action="ListSortExpressions",
        path=f"{APP}/sort-expressions",
        ram="opensearch:ListSortExpression",
        key=("name",),
        total="",
        missing=IN_APP,
        space=IN_APPS,
    ),
    _whole(
        action="ListSortScripts",
        path=f"{GROUP}/apps/{{appVersionId}}/sort-scripts",
        ram="opensearch:DescribeSortScript",
        key=("scriptName",),
        missing=IN_APP,
        without="InvalidAppSpec",
        space=IN_APPS,
    ),
    _whole(
        action="ListSearchStrategies",
        path=f"{APP}/search-strategies",
        ram="opensearch:DescribeSearchStrategy",
        key=("name",),
        missing=IN_APP,
        space=IN_APPS,
        envelope="bare",
    ),
    _whole(
        action="ListQueryProcessors",
        path=f"{APP}/query-processors",
        ram="opensearch:ListQueryProcessor",
        key=("name",),
        missing=IN_APP,
        space=IN_APPS,
        names=f"{IN_APPS}/processors",
        choices={"isActive": ("0", "1", "2")},
    ),
    _whole(
        action="ListQueryProcessorAnalyzerResults",
        path=f"{APP}/query-processors/{{name}}/analyze",
        ram="opensearch:DescribeQueryProcessor",
        missing=(*IN_APP, "QueryProcessor.NotFound"),
        space=f"{IN_APPS}/processors",
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
        missing=IN_FUNCTION,
        names=f"{IN_FUNCTIONS}/instances",
        choices={"source": ("user", "builtin", "all"), "output": ("normal", "simple", "detail")},
        filters={"functionType": ("FunctionType", "equal"), "modelType": ("ModelType", "equal")},
    ),
    _function(
        action="ListFunctionResources",
        path=f"{FUNCTION}/resources",
        ram="opensearch:DescribeFunction",
        key=("ResourceName",),
        missing=IN_FUNCTION,
        choices={"resourceType": ("", "feature_generator", "raw_file"), "output": ("normal", "simple", "detail")},
        filters={"resourceType": ("ResourceType", "equal")},
    ),
    _function(
        action="ListFunctionTasks",
        path=f"{FUNCTION}/instances/{{instanceName}}/tasks",
        ram="opensearch:DescribeFunction",
        key=("StartTime",),
        rank="down",
        missing=IN_INSTANCE,
        space=f"{IN_FUNCTIONS}/instances",
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
        missing=IN_GROUP,
        names=IN_SCENES,
    ),
    _whole(
        action="ListABTestGroups",
        path=AB_GROUPS,
        ram="opensearch:ListApp",
        key=("id",),
        missing=IN_SCENE,
        space=IN_SCENES,
        names=f"{IN_SCENES}/groups",
    ),
    _whole(
        action="ListABTestExperiments",
        path=EXPERIMENTS,
        ram="opensearch:ListApp",
        key=("id",),
        missing=IN_AB_GROUP,
        space=f"{IN_SCENES}/groups",
        names=f"{IN_SCENES}/groups/experiments",
    ),
    _whole(
        action="ListABTestFixedFlowDividers",
        path=f"{EXPERIMENTS}/{{experimentId}}/fixed-flow-dividers",
        ram="opensearch:ListApp",
        missing=IN_EXPERIMENT,
        space=f"{IN_SCENES}/groups/experiments",
    ),
)

OPERATIONS: tuple[EmulatedOperation, ...] = (*ROOTS, *DICTIONARY, *OF_GROUP, *OF_APP, *OF_FUNCTION, *AB_TESTS)
