"""The operations of OpenSearch (2017-12-25), one row each.

Paths, parameters and bounds: the official SDK package and the documentation pages (checked 2026-11-22). If a page
doesn't name a RAM action, that of its siblings is assumed.
"""

from __future__ import annotations

from functools import partial

from crawler.emulator.apis.operation import PAGE_SIZE, Bounds, EmulatedOperation, EmulatedPaging, LastToken

ROOT = "/v4/openapi"
GROUPS = f"{ROOT}/app-groups"
GROUP = f"{GROUPS}/{{appGroupIdentity}}"
APP = f"{GROUP}/apps/{{appId}}"
FUNCTION = f"{GROUP}/functions/{{functionName}}"
SCENES = f"{GROUP}/scenes"
AB_GROUPS = f"{SCENES}/{{sceneId}}/groups"
EXPERIMENTS = f"{AB_GROUPS}/{{groupId}}/experiments"
SLOW = f"{GROUP}/optimizers/slow-query/categories"
DICTIONARIES = f"{ROOT}/intervention-dictionaries"
ANALYZERS = f"{ROOT}/user-analyzers"
SOURCE = f"{ROOT}/assist/data-sources/{{dataSourceType}}"

IN_GROUP = ("AppGroup.NotExist",)
IN_APP = (*IN_GROUP, "App.NotFound")
IN_FUNCTION = (*IN_GROUP, "Instance.NotExist")
IN_SCENE = (*IN_GROUP, "ABTestScene.NotExist")
IN_AB_GROUP = (*IN_SCENE, "ABTestGroup.NotExist")
IN_EXPERIMENT = (*IN_AB_GROUP, "ABTestExperiment.NotExist")

# Namespaces, so that an app's ID isn't found as a scene's.
IN_APPS, IN_FUNCTIONS, IN_SCENES = "opensearch/apps", "opensearch/functions", "opensearch/scenes"
FLAG = ("", "true", "false", "True", "False")  # the official SDK for Python sends them with a capital
MODULES = ("app", "app-query", "abtest", "suggest", "hot", "hint", "data-quality", "es")
SOURCE_TYPES = ("rds", "polardb", "odps", "mysql", "drds")
SPAN = ("start", "end")
DETAIL = ("normal", "simple", "detail")

# Lists without pages and lists by page numbers; then those below each kind of parent.
_whole = partial(
    EmulatedOperation, product="opensearch", paging=EmulatedPaging.NONE, records="result", envelope="result"
)
_paged = partial(_whole, paging=EmulatedPaging.NUMBER, bounds=PAGE_SIZE)
_in_dictionary = partial(
    _whole,
    permission="DescribeInterventionDictionary",
    not_found_codes=("InterventionDictionary.NotFound",),
    namespace="dictionaries",
)
_in_group = partial(_whole, not_found_codes=IN_GROUP)
_in_group_paged = partial(_paged, not_found_codes=IN_GROUP)
_in_app = partial(_whole, not_found_codes=IN_APP, namespace=IN_APPS)
_in_function = partial(
    _paged,
    records="Result",
    permission="DescribeFunction",
    not_found_codes=IN_FUNCTION,
    namespace=IN_FUNCTIONS,
    envelope="function",
)
_ab_test = partial(_in_group, permission="ListApp")

ROOTS: tuple[EmulatedOperation, ...] = (
    _whole("DescribeRegions", f"{ROOT}/regions", ("regionId",)),
    _paged(
        "ListAppGroups",
        GROUPS,
        ("name",),
        permission="ListAppGroup",
        child_namespace="opensearch",
        choices={"sortBy": ("0", "1"), "type": ("", "standard", "enhanced")},
        filters={"name": ("name", "contains"), "type": ("type", "equal"), "instanceId": ("instanceId", "equal")},
    ),
    _whole(
        "ListTagResources",
        f"{ROOT}/resource-tags",
        ("resourceId", "tagKey"),
        paging=EmulatedPaging.TOKEN,
        bounds=Bounds("", 50, 50, 50),  # there is no page size parameter
        last_token=LastToken.EMPTY,
        required=("resourceType",),
    ),
    _whole("ListDataSourceTables", f"{SOURCE}/tables", required=("params",), choices={"dataSourceType": SOURCE_TYPES}),
    _whole(
        "ListDataSourceTableFields",
        f"{SOURCE}/fields",
        required=("params",),
        choices={"dataSourceType": SOURCE_TYPES, "rawType": FLAG},
        envelope="single",
    ),
    _whole(
        "ListQueryProcessorNers",
        f"{ROOT}/query-processor/ner/default-priorities",
        ("tag",),
        choices={"domain": ("", "ECOMMERCE")},
    ),
)

DICTIONARY: tuple[EmulatedOperation, ...] = (
    _paged("ListInterventionDictionaries", DICTIONARIES, ("name",), child_namespace="dictionaries"),
    _in_dictionary(
        "ListInterventionDictionaryEntries",
        f"{DICTIONARIES}/{{name}}/entries",
        ("word",),
        paging=EmulatedPaging.NUMBER,
        bounds=PAGE_SIZE,
        filters={"word": ("word", "equal")},
    ),
    _in_dictionary(
        "ListInterventionDictionaryNerResults",
        f"{DICTIONARIES}/{{name}}/ner-results",
        ("order",),
        rank="up",
        required=("query",),
    ),
    _in_dictionary("ListInterventionDictionaryRelatedEntities", f"{DICTIONARIES}/{{name}}/related"),
    _paged("ListUserAnalyzers", ANALYZERS, ("name",), child_namespace="analyzers"),
    _paged(
        "ListUserAnalyzerEntries",
        f"{ANALYZERS}/{{name}}/entries",
        permission="DescribeUserAnalyzer",
        total="",
        not_found_codes=("UserAnalyzer.NotFound",),
        namespace="analyzers",
        filters={"word": ("key", "equal")},
        envelope="entries",
    ),
)

OF_GROUP: tuple[EmulatedOperation, ...] = (
    _in_group("DescribeApps", f"{GROUP}/apps", ("id",), permission="ListApp", child_namespace=IN_APPS),
    _in_group_paged("ListDataCollections", f"{GROUP}/data-collections", ("id",)),
    _in_group(
        "ListElasticPlans",
        f"{GROUP}/elastic-plans",
        ("id",),
        paging=EmulatedPaging.TOKEN,
        rank="up",
        bounds=Bounds("maxResults", 1, 100, 10),
        last_token=LastToken.EMPTY,
        choices={"enabled": FLAG},
        filters={"name": ("name", "equal"), "enabled": ("enabled", "same")},
        envelope="plans",
    ),
    _in_group_paged("ListQuotaReviewTasks", f"{GROUP}/quota-review-tasks", ("id",), permission="DescribeApp"),
    _in_group_paged(
        "ListScheduledTasks",
        f"{GROUP}/scheduled-tasks",
        permission="ListScheduledTask",
        choices={"enabled": FLAG},
        filters={"type": ("type", "equal"), "id": ("id", "equal"), "enabled": ("enabled", "same")},
    ),
    _in_group("ListProceedings", f"{GROUP}/proceedings", choices={"filterFinished": FLAG}, envelope="bare"),
    _in_group(
        "ListSlowQueryCategories",
        SLOW,
        required=SPAN,
        choices={"sort": ("", "max", "avg", "sum", "queryProportion")},
        envelope="single",
    ),
    _whole(
        "ListSlowQueryQueries",
        f"{SLOW}/{{categoryIndex}}/queries",
        not_found_codes=(*IN_GROUP, "SlowQueryCategory.NotFound"),
        namespace="opensearch/categories",
        required=SPAN,
        envelope="single",
    ),
    _in_group_paged(
        "ListStatisticLogs",
        f"{GROUP}/statistic-logs/{{moduleName}}",
        choices={"moduleName": ("hot",), "distinct": FLAG},
    ),
    _in_group_paged("ListStatisticReport", f"{GROUP}/statistic-report/{{moduleName}}", choices={"moduleName": MODULES}),
)

OF_APP: tuple[EmulatedOperation, ...] = (
    _in_app("ListFirstRanks", f"{APP}/first-ranks", ("name",), permission="ListFirstRank"),
    _in_app("ListSecondRanks", f"{APP}/second-ranks", ("name",), permission="ListSecondRank", envelope="counted"),
    _in_app(
        "ListSortExpressions",
        f"{APP}/sort-expressions",
        ("name",),
        paging=EmulatedPaging.NUMBER,
        bounds=PAGE_SIZE,
        permission="ListSortExpression",
        total="",
    ),
    _in_app(
        "ListSortScripts",
        f"{GROUP}/apps/{{appVersionId}}/sort-scripts",
        ("scriptName",),
        permission="DescribeSortScript",
        absent_code="InvalidAppSpec",
    ),
    _in_app(
        "ListSearchStrategies",
        f"{APP}/search-strategies",
        ("name",),
        permission="DescribeSearchStrategy",
        envelope="bare",
    ),
    _in_app(
        "ListQueryProcessors",
        f"{APP}/query-processors",
        ("name",),
        permission="ListQueryProcessor",
        child_namespace=f"{IN_APPS}/processors",
        choices={"isActive": ("0", "1", "2")},
    ),
    _whole(
        "ListQueryProcessorAnalyzerResults",
        f"{APP}/query-processors/{{name}}/analyze",
        permission="DescribeQueryProcessor",
        not_found_codes=(*IN_APP, "QueryProcessor.NotFound"),
        namespace=f"{IN_APPS}/processors",
        required=("text",),
        request_id="RequestId",
        envelope="single",
    ),
)

OF_FUNCTION: tuple[EmulatedOperation, ...] = (
    _in_function(
        "ListFunctionInstances",
        f"{FUNCTION}/instances",
        ("InstanceName",),
        child_namespace=f"{IN_FUNCTIONS}/instances",
        choices={"source": ("user", "builtin", "all"), "output": DETAIL},
        filters={"functionType": ("FunctionType", "equal"), "modelType": ("ModelType", "equal")},
    ),
    _in_function(
        "ListFunctionResources",
        f"{FUNCTION}/resources",
        ("ResourceName",),
        choices={"resourceType": ("", "feature_generator", "raw_file"), "output": DETAIL},
        filters={"resourceType": ("ResourceType", "equal")},
    ),
    _in_function(
        "ListFunctionTasks",
        f"{FUNCTION}/instances/{{instanceName}}/tasks",
        ("StartTime",),
        rank="down",
        not_found_codes=(*IN_FUNCTION, "Instance.NotExist"),
        namespace=f"{IN_FUNCTIONS}/instances",
        bounds=Bounds("pageSize", 1, 100, 1),
        choices={"status": ("", "success", "failed", "running")},
        filters={"status": ("Status", "equal"), "startTime": ("StartTime", "since"), "endTime": ("EndTime", "until")},
    ),
)

AB_TESTS: tuple[EmulatedOperation, ...] = (
    _ab_test("ListABTestScenes", SCENES, ("id",), child_namespace=IN_SCENES),
    _ab_test(
        "ListABTestGroups",
        AB_GROUPS,
        ("id",),
        not_found_codes=IN_SCENE,
        namespace=IN_SCENES,
        child_namespace=f"{IN_SCENES}/groups",
    ),
    _ab_test(
        "ListABTestExperiments",
        EXPERIMENTS,
        ("id",),
        not_found_codes=IN_AB_GROUP,
        namespace=f"{IN_SCENES}/groups",
        child_namespace=f"{IN_SCENES}/groups/experiments",
    ),
    _ab_test(
        "ListABTestFixedFlowDividers",
        f"{EXPERIMENTS}/{{experimentId}}/fixed-flow-dividers",
        not_found_codes=IN_EXPERIMENT,
        namespace=f"{IN_SCENES}/groups/experiments",
    ),
)

OPERATIONS: tuple[EmulatedOperation, ...] = (*ROOTS, *DICTIONARY, *OF_GROUP, *OF_APP, *OF_FUNCTION, *AB_TESTS)
