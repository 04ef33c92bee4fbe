package dev.podidentity.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import java.util.List;
import org.junit.jupiter.api.Test;

/** What the running agent says of itself. */
class AgentChecksTest {

    private static final String AGENT = "GET http://127.0.0.1:2703";
    private static final String SCRAPE = """
            # TYPE pod_identity_build_info gauge
            pod_identity_build_info{java="25",version="1"} 1.0
            pod_identity_cache_entries 12.0
            pod_identity_agent_credentials 1.0
            pod_identity_upstream_outage 0.0
            pod_identity_log_lines_dropped_total 0.0
            pod_identity_earliest_expiry_seconds NaN
            pod_identity_heap_used_bytes 1.048576E7
            pod_identity_heap_max_bytes 5.0331648E7
            pod_identity_listener_up{address="169.254.170.23:80",listener="credentials"} 1.0
            pod_identity_limit_rejections_total{limit="source_requests"} 0.0
            """;

    private final FakeWeb web = new FakeWeb();
    private final AgentHttp agent = new AgentHttp(web, Settings.with());

    @Test
    void isContentWithAListenerWhoseAddressTheNodeDoesNotHave() {
        web.answer(AGENT + "/metrics", 200, SCRAPE + """
                pod_identity_listener_up{address="[fd00:ec2::23]:80",listener="credentials"} 0.0
                pod_identity_listener_required{address="[fd00:ec2::23]:80",listener="credentials"} 0.0
                """);

        assertThat(new LimitsCheck(agent).examine()).extracting(Finding::status).containsExactly(Status.OK);
    }

    @Test
    void isContentWithAnAgentThatIsReady() {
        web.answer(AGENT + "/healthz", 200, "ok\n").answer(AGENT + "/readyz", 200, "ok\n");

        assertThat(new HealthCheck(agent).examine()).containsExactly(Finding.ok("The agent is alive and ready"));
    }

    @Test
    void saysWhatAnAgentLacksToBeReady() {
        web.answer(AGENT + "/healthz", 200, "ok\n").answer(AGENT + "/readyz", 503, "not ready: no credentials of its own\n");

        assertThat(new HealthCheck(agent).examine()).containsExactly(
                Finding.fail("The agent is alive, but not ready: no credentials of its own", "Read its log"));
    }

    @Test
    void failsWithoutAnAgent() {
        assertThat(new HealthCheck(agent).examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.FAIL);
            assertThat(finding.seen()).contains("127.0.0.1:2703", "--probe-port");
        });
        assertThat(new LimitsCheck(agent).examine()).extracting(Finding::status).containsExactly(Status.SKIP);
        assertThat(new CacheCheck(agent).examine()).extracting(Finding::status).containsExactly(Status.SKIP);
    }

    @Test
    void isContentWithLimitsThatNobodyReached() {
        assertThat(limits(SCRAPE)).containsExactly(
                Finding.ok("No limit was reached; the cache holds 12 identities, the heap 10 of 48 MiB"));
    }

    @Test
    void namesEachTroubleThatTheMetricsShow() {
        assertThat(limits(SCRAPE
                        .replace("source_requests\"} 0.0", "source_requests\"} 41.0")
                        .replace("listener=\"credentials\"} 1.0", "listener=\"credentials\"} 0.0")
                        .replace("agent_credentials 1.0", "agent_credentials 0.0")
                        .replace("outage 0.0", "outage 1.0")
                        .replace("dropped_total 0.0", "dropped_total 3.0")
                        .replace("1.048576E7", "5.0E7")))
                .extracting(Finding::status, Finding::seen)
                .containsExactly(
                        tuple(Status.WARN, "The listener for credentials on 169.254.170.23:80 is down"),
                        tuple(Status.WARN, "The limit source_requests has rejected 41 since the agent started"),
                        tuple(Status.FAIL, "The agent has no usable AWS credentials of its own"),
                        tuple(Status.FAIL, "Calls to EKS Auth fail for all pods"),
                        tuple(Status.WARN,
                                "The agent has dropped log lines, because its standard output is not read fast enough"),
                        tuple(Status.WARN, "The agent's heap is nearly full: 48 of 48 MiB"));
    }

    @Test
    void recognisesThatAnotherAgentAnswers() {
        assertThat(limits("go_goroutines 12\n")).extracting(Finding::status).containsExactly(Status.WARN);
    }

    @Test
    void showsTheCacheAndWhoIsLimited() {
        // Given
        web.answer(AGENT + "/debug/entries", 200, """
                {"entries":[
                {"namespace":"shop","serviceAccount":"cart","pods":3,"role":"arn:aws:iam::123456789012:role/cart",
                 "expiration":"2026-01-01T06:00:00Z","nextRenewal":"2026-01-01T03:00:00Z","hits":41},
                {"namespace":"shop","serviceAccount":"mail","podName":"mail-1","pods":1,"role":"arn:aws:iam::123456789012:role/mail",
                 "expiration":"2026-01-01T06:00:00Z","nextRenewal":"2026-01-01T00:00:01Z","hits":1,
                 "lastFailure":"EKS Auth throttles this account: try again"}]}""");
        web.answer(AGENT + "/debug/sources", 200, """
                {"sources":[{"address":"10.0.0.7","limited":true,"rejected":12},{"address":"10.0.0.8","limited":false}]}""");

        // When
        List<Finding> findings = new CacheCheck(agent).examine();

        // Then
        assertThat(findings).extracting(Finding::status).containsExactly(Status.WARN, Status.WARN);
        assertThat(findings.get(0).seen()).isEqualTo("The cache holds 2 identities; the last renewal of 1 failed");
        assertThat(findings.get(0).details()).containsExactly(
                "shop/mail of pod mail-1, pods 1, arn:aws:iam::123456789012:role/mail, expires 2026-01-01T06:00:00Z, renewal"
                        + " 2026-01-01T00:00:01Z, hits 1, last failure: EKS Auth throttles this account: try again",
                "shop/cart, pods 3, arn:aws:iam::123456789012:role/cart, expires 2026-01-01T06:00:00Z, renewal"
                        + " 2026-01-01T03:00:00Z, hits 41");
        assertThat(findings.get(1).details()).containsExactly("10.0.0.7, rejected 12");
    }

    @Test
    void isContentWithAnEmptyCache() {
        web.answer(AGENT + "/debug/entries", 200, "{\"entries\":[]}").answer(AGENT + "/debug/sources", 200, "{\"sources\":[]}");

        assertThat(new CacheCheck(agent).examine()).containsExactly(
                Finding.ok("The cache holds 0 identities"), Finding.ok("No source address is limited"));
    }

    @Test
    void leavesTheCacheOutForAnOlderAgent() {
        web.answer(AGENT + "/debug/entries", 404, "").answer(AGENT + "/debug/sources", 404, "");

        assertThat(new CacheCheck(agent).examine()).isEmpty();
    }

    private List<Finding> limits(String scrape) {
        web.answer(AGENT + "/metrics", 200, scrape);
        return new LimitsCheck(agent).examine();
    }
}
