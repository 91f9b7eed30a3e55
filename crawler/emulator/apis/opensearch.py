"""The operations of OpenSearch (2017-12-25), one row each.

Paths, parameters and bounds: the official SDK package and the documentation pages (checked 2026-11-22). If a page
doesn't name a RAM action, that of its siblings is assumed.
"""

from __future__ import annotations

from functools import partial

from crawler.emulator.apis.operation import PAGE_SIZE, Bounds, EmulatedOperation, EmulatedPaging, LastToken

ROOT = "/v4/openapi"
GROUP = ROOT + "/app-groups/{appGroupIdentity}"
APP = GROUP + "/apps/{appId}"

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
    EmulatedOperation, product="opensearch", root=ROOT, paging=EmulatedPaging.NONE, records="result", envelope="result"
)
_paged = partial(_whole, paging=EmulatedPaging.NUMBER, bounds=PAGE_SIZE)
_in_dictionary = partial(
    _whole,
    root=ROOT + "/intervention-dictionaries/{name}",
    permission="DescribeInterventionDictionary",
    not_found_codes=("InterventionDictionary.NotFound",),
    namespace="dictionaries",
)
_in_group = partial(_whole, root=GROUP, not_found_codes=IN_GROUP)
_in_group_paged = partial(_paged, root=GROUP, not_found_codes=IN_GROUP)
_in_app = partial(_whole, root=APP, not_found_codes=IN_APP, namespace=IN_APPS)
_in_function = partial(
    _paged,
    root=GROUP + "/functions/{functionName}",
    records="Result",
    permission="DescribeFunction",
    not_found_codes=IN_FUNCTION,
    namespace=IN_FUNCTIONS,
    envelope="function",
)
_ab_test = partial(_in_group, permission="ListApp")

ROOTS: tuple[EmulatedOperation, ...] = (
    _whole("DescribeRegions", "/regions", ("regionId",)),
    _paged(
        "ListAppGroups",
        "/app-groups",
        ("name",),
        permission="ListAppGroup",
        child_namespace="opensearch",
        choices={"sortBy": ("0", "1"), "type": ("", "standard", "enhanced")},
        filters={"name": ("name", "contains"), "type": ("type", "equal"), "instanceId": ("instanceId", "equal")},
    ),
    _whole(
        "ListTagResources",
        "/resource-tags",
        ("resourceId", "tagKey"),
        paging=EmulatedPaging.TOKEN,
        bounds=Bounds("", 50, 50, 50),  # there is no page size parameter
        last_token=LastToken.EMPTY,
        required=("resourceType",),
    ),
    _whole(
        "ListDataSourceTables",
        "/assist/data-sources/{dataSourceType}/tables",
        required=("params",),
        choices={"dataSourceType": SOURCE_TYPES},
    ),
    _whole(
        "ListDataSourceTableFields",
        "/assist/data-sources/{dataSourceType}/fields",
        required=("params",),
        choices={"dataSourceType": SOURCE_TYPES, "rawType": FLAG},
        envelope="single",
    ),
    _whole(
        "ListQueryProcessorNers",
        "/query-processor/ner/default-priorities",
        ("tag",),
        choices={"domain": ("", "ECOMMERCE")},
    ),
)

DICTIONARY: tuple[EmulatedOperation, ...] = (
    _paged("ListInterventionDictionaries", "/intervention-dictionaries", ("name",), child_namespace="dictionaries"),
    _in_dictionary(
        "ListInterventionDictionaryEntries",
        "/entries",
        ("word",),
        paging=EmulatedPaging.NUMBER,
        bounds=PAGE_SIZE,
        filters={"word": ("word", "equal")},
    ),
    _in_dictionary("ListInterventionDictionaryNerResults", "/ner-results", ("order",), rank="up", required=("query",)),
    _in_dictionary("ListInterventionDictionaryRelatedEntities", "/related"),
    _paged("ListUserAnalyzers", "/user-analyzers", ("name",), child_namespace="analyzers"),
    _paged(
        "ListUserAnalyzerEntries",
        "/user-analyzers/{name}/entries",
        permission="DescribeUserAnalyzer",
        total="",
        not_found_codes=("UserAnalyzer.NotFound",),
        namespace="analyzers",
        filters={"word": ("key", "equal")},
        envelope="entries",
    ),
)

OF_GROUP: tuple[EmulatedOperation, ...] = (
    _in_group("DescribeApps", "/apps", ("id",), permission="ListApp", child_namespace=IN_APPS),
    _in_group_paged("ListDataCollections", "/data-collections", ("id",)),
    _in_group(
        "ListElasticPlans",
        "/elastic-plans",
        ("id",),
        paging=EmulatedPaging.TOKEN,
        rank="up",
        bounds=Bounds("maxResults", 1, 100, 10),
        last_token=LastToken.EMPTY,
        choices={"enabled": FLAG},
        filters={"name": ("name", "equal"), "enabled": ("enabled", "same")},
        envelope="plans",
    ),
    _in_group_paged("ListQuotaReviewTasks", "/quota-review-tasks", ("id",), permission="DescribeApp"),
    _in_group_paged(
        "ListScheduledTasks",
        "/scheduled-tasks",
        permission="ListScheduledTask",
        choices={"enabled": FLAG},
        filters={"type": ("type", "equal"), "id": ("id", "equal"), "enabled": ("enabled", "same")},
    ),
    _in_group("ListProceedings", "/proceedings", choices={"filterFinished": FLAG}, envelope="bare"),
    _in_group(
        "ListSlowQueryCategories",
        "/optimizers/slow-query/categories",
        required=SPAN,
        choices={"sort": ("", "max", "avg", "sum", "queryProportion")},
        envelope="single",
    ),
    _whole(
        "ListSlowQueryQueries",
        "/optimizers/slow-query/categories/{categoryIndex}/queries",
        root=GROUP,
        not_found_codes=(*IN_GROUP, "SlowQueryCategory.NotFound"),
        namespace="opensearch/categories",
        required=SPAN,
        envelope="single",
    ),
    _in_group_paged(
        "ListStatisticLogs", "/statistic-logs/{moduleName}", choices={"moduleName": ("hot",), "distinct": FLAG}
    ),
    _in_group_paged("ListStatisticReport", "/statistic-report/{moduleName}", choices={"moduleName": MODULES}),
)

OF_APP: tuple[EmulatedOperation, ...] = (
    _in_app("ListFirstRanks", "/first-ranks", ("name",), permission="ListFirstRank"),
    _in_app("ListSecondRanks", "/second-ranks", ("name",), permission="ListSecondRank", envelope="counted"),
    _in_app(
        "ListSortExpressions",
        "/sort-expressions",
        ("name",),
        paging=EmulatedPaging.NUMBER,
        bounds=PAGE_SIZE,
        permission="ListSortExpression",
        total="",
    ),
    _in_app(
        "ListSortScripts",
        "/apps/{appVersionId}/sort-scripts",
        ("scriptName",),
        root=GROUP,
        permission="DescribeSortScript",
        absent_code="InvalidAppSpec",
    ),
    _in_app(
        "ListSearchStrategies", "/search-strategies", ("name",), permission="DescribeSearchStrategy", envelope="bare"
    ),
    _in_app(
        "ListQueryProcessors",
        "/query-processors",
        ("name",),
        permission="ListQueryProcessor",
        child_namespace=f"{IN_APPS}/processors",
        choices={"isActive": ("0", "1", "2")},
    ),
    _whole(
        "ListQueryProcessorAnalyzerResults",
        "/query-processors/{name}/analyze",
        root=APP,
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
        "/instances",
        ("InstanceName",),
        child_namespace=f"{IN_FUNCTIONS}/instances",
        choices={"source": ("user", "builtin", "all"), "output": DETAIL},
        filters={"functionType": ("FunctionType", "equal"), "modelType": ("ModelType", "equal")},
    ),
    _in_function(
        "ListFunctionResources",
        "/resources",
        ("ResourceName",),
        choices={"resourceType": ("", "feature_generator", "raw_file"), "output": DETAIL},
        filters={"resourceType": ("ResourceType", "equal")},
    ),
    _in_function(
        "ListFunctionTasks",
        "/instances/{instanceName}/tasks",
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
    _ab_test("ListABTestScenes", "/scenes", ("id",), child_namespace=IN_SCENES),
    _ab_test(
        "ListABTestGroups",
        "/scenes/{sceneId}/groups",
        ("id",),
        not_found_codes=IN_SCENE,
        namespace=IN_SCENES,
        child_namespace=f"{IN_SCENES}/groups",
    ),
    _ab_test(
        "ListABTestExperiments",
        "/scenes/{sceneId}/groups/{groupId}/experiments",
        ("id",),
        not_found_codes=IN_AB_GROUP,
        namespace=f"{IN_SCENES}/groups",
        child_namespace=f"{IN_SCENES}/groups/experiments",
    ),
    _ab_test(
        "ListABTestFixedFlowDividers",
        "/scenes/{sceneId}/groups/{groupId}/experiments/{experimentId}/fixed-flow-dividers",
        not_found_codes=IN_EXPERIMENT,
        namespace=f"{IN_SCENES}/groups/experiments",
    ),
)

OPERATIONS: tuple[EmulatedOperation, ...] = (*ROOTS, *DICTIONARY, *OF_GROUP, *OF_APP, *OF_FUNCTION, *AB_TESTS)
