package dev.podidentity.agent.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.apiserver.ApiServer;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.PermanentFailure.Reason;
import dev.podidentity.agent.eksauth.Said;
import dev.podidentity.agent.loop.RefusalBackoff;
import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.agent.observe.EventResult;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.LogLines;
import dev.podidentity.agent.testing.LoopFixture;
import dev.podidentity.agent.testing.ScriptedServer;
import dev.podidentity.agent.token.VerifiedClaims;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class EventRecorderTest {

    private static final Reason DENIED = Reason.ACCESS_DENIED;
    private static final Reason NO_ASSOCIATION = Reason.NO_ASSOCIATION;
    private static final String REMEDY = "What can be said without knowing the pod";
    private static final Duration WINDOW = Duration.ofMinutes(10);

    private final LoopFixture fixture = new LoopFixture();
    private final ScriptedServer server = new ScriptedServer();
    private final ApiServer api = fixture.api(server.url());
    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final Metrics metrics = new Metrics(registry, new BuildInfo("1"), fixture.time.clock());
    private final LogLines log = new LogLines(EventRecorder.class);
    /** The Events that were sent. */
    private final List<JsonObject> events = new CopyOnWriteArrayList<>();
    /** The recorder's own clock, which can advance without causing timeouts of its calls. Accessed only on the loop. */
    private final FakeTime time = new FakeTime();
    private double random;
    private EventRecorder recorder = recorder("prod");

    private EventRecorder recorder(String clusterName) {
        return new EventRecorder(api, clusterName, Optional.of("node-1"), metrics, time.clock(), time.nanos(), () -> random);
    }

    @AfterEach
    void close() {
        log.close();
        fixture.close();
        server.close();
    }

    @Test
    void putsAnEventOnThePod() {
        // Given
        create();

        // When
        fail(pod("cart-1"), NO_ASSOCIATION);
        until(EventResult.CREATED, 1);

        // Then
        HttpServerRequest request = server.received().get(0);
        assertThat(request.method() + " " + request.uri()).isEqualTo("POST /api/v1/namespaces/shop/events");
        assertThat(events).containsExactly(new JsonObject("""
                {
                  "apiVersion": "v1",
                  "kind": "Event",
                  "metadata": {"generateName": "cart-1.", "namespace": "shop"},
                  "type": "Warning",
                  "reason": "CredentialsNoAssociation",
                  "message": "There is no EKS Pod Identity association for service account shop/cart in cluster prod: aws \
                eks create-pod-identity-association --cluster-name prod --namespace shop --service-account cart --role-arn \
                <the role's ARN>. A new one takes some seconds",
                  "involvedObject":
                      {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "cart-1", "uid": "uid-of-cart-1"},
                  "source": {"component": "eks-pod-identity-agent", "host": "node-1"},
                  "reportingComponent": "eks-pod-identity-agent",
                  "firstTimestamp": "2026-01-01T00:00:00Z",
                  "lastTimestamp": "2026-01-01T00:00:00Z",
                  "count": 1,
                  "reportingInstance": "node-1"
                }"""));
    }

    @Test
    void leavesOutANodeThatItDoesNotKnow() {
        create();
        recorder = new EventRecorder(api, "prod", Optional.empty(), metrics, time.clock(), time.nanos(), () -> random);

        fail(pod("cart-1"), DENIED);
        until(EventResult.CREATED, 1);

        assertThat(events.get(0).containsKey("reportingInstance")).isFalse();
        assertThat(events.get(0).getJsonObject("source").fieldNames()).containsExactly("component");
    }

    @Test
    void saysHowToLetTheRoleTrustPodIdentity() {
        create();

        fail(pod("cart-1"), DENIED);
        until(EventResult.CREATED, 1);

        assertThat(events.get(0).getString("reason")).isEqualTo("CredentialsAccessDenied");
        assertThat(events.get(0).getString("message")).isEqualTo("EKS Auth may not assume the role of the association of"
                + " service account shop/cart in cluster prod: add"
                + " {\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"pods.eks.amazonaws.com\"},"
                + "\"Action\":[\"sts:AssumeRole\",\"sts:TagSession\"]} to the role's trust policy. The association and its"
                + " role: aws eks list-pod-identity-associations"
                + " --cluster-name prod --namespace shop --service-account cart,"
                + " then aws eks describe-pod-identity-association");
    }

    @ParameterizedTest
    @CsvSource({
        "INVALID_PARAMETER, CredentialsInvalidParameter",
        "INVALID_REQUEST, CredentialsInvalidRequest",
        "INVALID_TOKEN, CredentialsInvalidToken",
        "EXPIRED_TOKEN, CredentialsExpiredToken",
    })
    void saysWhatItIsTold(Reason refused, String reason) {
        create();

        fail(pod("cart-1"), refused);
        until(EventResult.CREATED, 1);

        assertThat(events.get(0).getString("reason")).isEqualTo(reason);
        assertThat(events.get(0).getString("message")).isEqualTo(REMEDY);
    }

    @ParameterizedTest
    @ValueSource(strings = {"x", "é", "€", "😀"})
    void saysNoMoreThanTheApiServerTakes(String character) {
        create();

        fixture.run(() -> recorder.credentialsFailed(
                pod("cart-1"), new PermanentFailure(Reason.INVALID_REQUEST, "." + character.repeat(1025))));
        until(EventResult.CREATED, 1);

        String message = events.get(0).getString("message");
        assertThat(message).matches("\\.(" + character + ")+");
        assertThat(message.getBytes(StandardCharsets.UTF_8).length)
                .isBetween(1025 - character.getBytes(StandardCharsets.UTF_8).length, 1024);
    }

    @ParameterizedTest
    @EnumSource
    void addsWhatEksAuthSaidToEveryReason(Reason reason) {
        create();

        fixture.run(() -> recorder.credentialsFailed(
                pod("cart-1"), new PermanentFailure(reason, REMEDY, new Said("No", "id-1"))));
        until(EventResult.CREATED, 1);

        assertThat(events.get(0).getString("message")).endsWith(". EKS Auth said: \"No\". Request ID: id-1");
    }

    @Test
    void keepsInsideThePathOfEventsWhateverTheNamespaceIsCalled() {
        create();

        fixture.run(() -> recorder.credentialsFailed(
                new VerifiedClaims("i", "a/../b?c\r\nd", "sa", "sa-uid", "pod", "uid", Optional.empty()), failure(DENIED)));
        until(EventResult.CREATED, 1);

        assertThat(server.received().get(0).uri()).isEqualTo("/api/v1/namespaces/a%2F..%2Fb%3Fc%0D%0Ad/events");
    }

    @Test
    void saysTheSameOfAPodOnceInTenMinutes() {
        // Given
        create();
        fail(pod("cart-1"), DENIED);
        until(EventResult.CREATED, 1);

        // When
        advance(WINDOW.minusNanos(1));
        fail(pod("cart-1"), DENIED);
        fail(pod("cart-2"), DENIED);
        until(EventResult.CREATED, 2);

        // Then
        assertThat(events).extracting(event -> event.getJsonObject("involvedObject").getString("name"))
                .containsExactly("cart-1", "cart-2");

        // When
        advance(Duration.ofNanos(1));
        fail(pod("cart-1"), DENIED);
        until(EventResult.CREATED, 3);

        // Then
        assertThat(events.get(2).getString("firstTimestamp")).isEqualTo("2026-01-01T00:10:00Z");
    }

    @Test
    void saysAnotherCauseOfTheSamePodAtOnce() {
        create();

        fail(pod("cart-1"), DENIED);
        fail(pod("cart-1"), NO_ASSOCIATION);
        until(EventResult.CREATED, 2);

        assertThat(events).extracting(event -> event.getString("reason"))
                .containsExactlyInAnyOrder("CredentialsAccessDenied", "CredentialsNoAssociation");
    }

    @Test
    void tellsAPodFromItsSuccessorOfTheSameName() {
        create();

        fail(pod("web-0"), DENIED);
        fixture.run(() -> recorder.credentialsFailed(
                new VerifiedClaims("i", "shop", "cart", "sa-uid", "web-0", "another-uid", Optional.empty()), failure(DENIED)));

        until(EventResult.CREATED, 2);
    }

    @ParameterizedTest
    @ValueSource(ints = {401, 409, 429, 500, 503})
    void saysItAtTheNextFailureWhenTheTroubleMayPass(int status) {
        // Given
        server.answer(status, "");
        fail(pod("cart-1"), DENIED);
        until(EventResult.FAILED, 1);

        // When
        create();
        fail(pod("cart-1"), DENIED);

        // Then
        until(EventResult.CREATED, 1);
        assertThat(log.all()).isEmpty();
    }

    @Test
    void saysItAtTheNextFailureWhenTheApiServerHangs() {
        // Given
        server.answer(request -> {});
        fail(pod("cart-1"), DENIED);
        fixture.until(() -> server.received().size() == 1);

        // When
        fixture.advance(ApiServer.TIMEOUT);
        until(EventResult.FAILED, 1);
        create();
        fail(pod("cart-1"), DENIED);

        // Then
        until(EventResult.CREATED, 1);
    }

    @ParameterizedTest
    @ValueSource(ints = {302, 400, 405, 422})
    void doesNotRepeatWhatTheApiServerDoesNotTake(int status) {
        server.answer(status, "");
        fail(pod("cart-1"), DENIED);
        until(EventResult.FAILED, 1);

        fail(pod("cart-1"), DENIED);
        fail(pod("cart-2"), DENIED);
        until(EventResult.FAILED, 2);

        assertThat(server.received()).hasSize(2);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "404 | {\"kind\":\"Status\"}",
        "403 | {\"details\":{\"causes\":[{\"reason\":\"Other\"},{\"reason\":\"NamespaceTerminating\"}]}}",
    })
    void takesNoNoticeOfANamespaceThatIsGone(int status, String body) {
        server.answer(status, body);
        fail(pod("cart-1"), DENIED);
        until(EventResult.GONE, 1);

        create();
        fail(pod("cart-2"), DENIED);

        until(EventResult.CREATED, 1);
        assertThat(log.all()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "",
        "[]",
        "null",
        "{",
        "{\"details\":[]}",
        "{\"details\":{\"causes\":\"NamespaceTerminating\"}}",
        "{\"details\":{\"causes\":[null,\"NamespaceTerminating\",{\"reason\":{}}]}}"
    })
    void namesTheRuleThatIsMissingOnceAndTriesAgainAfterTenMinutesInTheEnd(String body) {
        // Given
        server.answer(403, body);
        for (int refusals = 1; refusals <= RefusalBackoff.BELIEVED; refusals++) {
            fail(pod("cart-1"), DENIED);
            until(EventResult.FORBIDDEN, refusals);
            assertThat(log.all()).hasSize(refusals < 3 ? 0 : 1);
            advance(RefusalBackoff.pause(refusals, 0).minusNanos(1));
            fail(pod("cart-2"), DENIED);
            assertThat(server.received()).hasSize(refusals);
            advance(Duration.ofNanos(1));
        }

        // When: ten minutes have passed
        fail(pod("cart-3"), DENIED);
        until(EventResult.FORBIDDEN, RefusalBackoff.BELIEVED + 1);

        // Then
        assertThat(log.all()).containsExactly("WARN No Event can be recorded for pods of this namespace; retrying"
                + " [namespace=shop, remedy=The agent may not put Events on pods (HTTP 403): give its service account"
                + " a role with apiGroups \"\", resources events with the verb create; if it has one, look for a quota or an"
                + " admission policy]");
    }

    @Test
    void saysItWithinSecondsOnceAnApiServerThatHasJustStartedAllowsIt() {
        // Given
        server.answer(403, "");
        fail(pod("cart-1"), DENIED);
        until(EventResult.FORBIDDEN, 1);

        // When
        create();
        fail(pod("cart-1"), DENIED);
        advance(Duration.ofSeconds(1).minusNanos(1));
        fail(pod("cart-1"), DENIED);
        assertThat(server.received()).hasSize(1);
        advance(Duration.ofNanos(1));
        fail(pod("cart-1"), DENIED);

        // Then
        until(EventResult.CREATED, 1);
        assertThat(log.all()).isEmpty();
    }

    @Test
    void spreadsTheAttemptsOfManyNodes() {
        random = 1;
        server.answer(403, "");
        fail(pod("cart-1"), DENIED);
        until(EventResult.FORBIDDEN, 1);

        create();
        advance(Duration.ofMillis(500));
        fail(pod("cart-1"), DENIED);

        until(EventResult.CREATED, 1);
    }

    @Test
    void countsAttemptsOfOneMomentAsOneRefusal() {
        // Given
        server.answer(request -> {});
        fail(pod("cart-1"), DENIED);
        fail(pod("cart-2"), DENIED);
        fixture.until(() -> server.received().size() == 2);

        // When
        server.received().forEach(request -> request.response().setStatusCode(403).end());
        until(EventResult.FORBIDDEN, 2);
        create();
        advance(Duration.ofSeconds(1));
        fail(pod("cart-1"), DENIED);

        // Then
        until(EventResult.CREATED, 1);
    }

    @Test
    void goesOnInOtherNamespacesWhenOneHasUsedItsQuota() {
        // Given
        server.answer(request -> {
            if (request.uri().contains("/shop/")) {
                request.response().setStatusCode(403).end("{\"message\":\"exceeded quota\"}");
            } else {
                request.response().setStatusCode(201).end();
            }
        });
        fail(pod("cart-1"), DENIED);
        until(EventResult.FORBIDDEN, 1);

        // When
        fixture.run(() -> recorder.credentialsFailed(
                new VerifiedClaims("i", "other", "sa", "sa-uid", "pod", "uid", Optional.empty()), failure(DENIED)));

        // Then
        until(EventResult.CREATED, 1);
    }

    @Test
    void warnsAnewOfAStatusThatHasNotComeForAnHour() {
        // Given
        server.answer(422, "{}");
        fail(pod("cart-1"), DENIED);
        until(EventResult.FAILED, 1);
        advance(Duration.ofMinutes(59));
        fail(pod("cart-1"), DENIED);
        until(EventResult.FAILED, 2);
        advance(Duration.ofMinutes(59));
        fail(pod("cart-1"), DENIED);
        until(EventResult.FAILED, 3);
        assertThat(log.all()).hasSize(1);

        // When
        advance(Duration.ofHours(1));
        fail(pod("cart-1"), DENIED);
        until(EventResult.FAILED, 4);

        // Then
        assertThat(log.all()).hasSize(2);
    }

    @Test
    void namesThePolicyThatRefusesAnEvent() {
        // Given
        String policy = "ValidatingAdmissionPolicy 'no-events' with binding 'no-events' denied request: no Events, please";
        server.answer(422, new JsonObject().put("kind", "Status").put("message", policy).encode());

        // When
        fail(pod("cart-1"), DENIED);
        fail(pod("cart-2"), DENIED);
        until(EventResult.FAILED, 2);

        // Then
        assertThat(log.all()).containsExactly("WARN The API server rejects an Event; it is not sent again [namespace=shop,"
                + " status=422, reason=" + policy + ", remedy=Look for an admission policy or webhook that rejects the Events of"
                + " eks-pod-identity-agent]");
    }

    @Test
    void repeatsNoMoreOfAReasonThanItsStart() {
        server.answer(422, new JsonObject().put("message", "x".repeat(100_000)).encode());

        fail(pod("cart-1"), DENIED);
        until(EventResult.FAILED, 1);

        assertThat(log.all()).singleElement().asString().contains("reason=" + "x".repeat(300) + ",");
    }

    @Test
    void sendsNothingMoreOfANamespaceThatRefusesWhatIsUnderWay() {
        // Given
        server.answer(request -> {});
        for (int i = 0; i < 50; i++) {
            fail(pod("cart-" + i), DENIED);
        }
        fixture.until(() -> server.received().size() == 2);

        // When
        server.received().forEach(request -> request.response().setStatusCode(403).end());

        // Then
        until(EventResult.FORBIDDEN, 50);
        assertThat(server.received()).hasSize(2);
    }

    @Test
    void sendsTwoAtATimeSoThatPodsDoNotWaitForEvents() {
        // Given
        server.answer(request -> {});
        for (int i = 0; i < 10; i++) {
            fail(pod("cart-" + i), DENIED);
        }
        fixture.until(() -> server.received().size() == 2);

        // When
        create();
        server.received().get(0).response().setStatusCode(201).end();

        // Then: all others were sent through the slot that became free
        until(EventResult.CREATED, 9);
        assertThat(server.received()).hasSize(10);
    }

    @Test
    void saysNoMoreThanFiveASecondForLong() {
        // Given
        create();
        for (int i = 0; i < 60; i++) {
            fail(pod("cart-" + i), DENIED);
        }
        until(EventResult.CREATED, 50);
        assertThat(count(EventResult.LIMITED)).isEqualTo(10);

        // When
        advance(Duration.ofSeconds(1));
        for (int i = 50; i < 60; i++) {
            fail(pod("cart-" + i), DENIED);
        }

        // Then: rejected Events are not remembered as sent
        until(EventResult.CREATED, 55);
        assertThat(count(EventResult.LIMITED)).isEqualTo(15);
    }

    @Test
    void keepsABoundedNumberWaitingWhileTheApiServerHangs() {
        server.answer(request -> {});

        for (int i = 0; i < 300; i++) {
            fail(pod("cart-" + i), DENIED);
            advance(Duration.ofSeconds(1));
        }

        assertThat(count(EventResult.LIMITED)).isEqualTo(300 - 50 - 2);
    }

    private static VerifiedClaims pod(String name) {
        return new VerifiedClaims(
                "https://issuer.example", "shop", "cart", "sa-uid", name, "uid-of-" + name, Optional.of("node-1"));
    }

    private void fail(VerifiedClaims pod, Reason reason) {
        fixture.run(() -> recorder.credentialsFailed(pod, failure(reason)));
    }

    private static PermanentFailure failure(Reason reason) {
        return new PermanentFailure(reason, REMEDY);
    }

    /** Accepts Events from now on. */
    private void create() {
        server.answer(request -> request.body().onSuccess(body -> {
            events.add(body.toJsonObject());
            request.response().setStatusCode(201).end(body);
        }));
    }

    private void advance(Duration duration) {
        fixture.run(() -> time.advance(duration));
    }

    private void until(EventResult result, int times) {
        fixture.until(() -> count(result) == times);
    }

    private double count(EventResult result) {
        return registry.get("pod_identity_events").tag("result", result.label()).counter().count();
    }
}
