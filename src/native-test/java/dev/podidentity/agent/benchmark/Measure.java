package dev.podidentity.agent.benchmark;

/** A measured quantity: the key in the results, and the column header with its unit. */
enum Measure {
    REQUESTS("requestsPerSecond", "requests/s", 0),
    TOKENS("tokensPerSecond", "tokens/s", 0),
    P50("p50Millis", "p50 ms", 2),
    P99("p99Millis", "p99 ms", 2),
    AFTER_P50("p50MillisAfterCall", "p50 ms after the call", 1),
    AFTER_P99("p99MillisAfterCall", "p99 ms after the call", 1),
    LAST("lastMillis", "last ms", 0),
    CPU("cpuSecondsPer100000", "CPU s per 100,000", 2),
    CPU_MILLIS("cpuMillis", "CPU ms", 1),
    FIRST("millisToFirst200", "first 200 after ms", 1),
    RESIDENT("residentMegabytes", "resident MB", 1),
    ANONYMOUS("anonymousMegabytes", "anonymous MB", 1),
    WORKING_SET("workingSetMegabytes", "working set MB", 1),
    PAGE_CACHE("pageCacheMegabytes", "page cache MB", 1),
    FILE("fileMegabytes", "file MB", 1),
    CALLS("callsToEksAuth", "calls to EKS Auth", 0),
    RETRIES("retries", "retries", 0),
    FAILED("failed", "failed", 0),
    ERRORS("errors", "errors", 0);

    private final String key;
    private final String title;
    private final int decimals;

    Measure(String key, String title, int decimals) {
        this.key = key;
        this.title = title;
        this.decimals = decimals;
    }

    String key() {
        return key;
    }

    String title() {
        return title;
    }

    int decimals() {
        return decimals;
    }
}
