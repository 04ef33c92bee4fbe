package dev.podidentity.agent.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.apiserver.ApiServer;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.LoopFixture;
import dev.podidentity.agent.testing.ScriptedServer;
import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TokenReviewsTest {

    private static final String EXTRA = "authentication.kubernetes.io/";
    private static final ServiceAccountToken TOKEN = Tokens.read(FakeTime.START, "claimed-pod");

    private final LoopFixture fixture = new LoopFixture();
    private final ScriptedServer server = new ScriptedServer();
    private final ApiServer api = fixture.api(server.url());
    private final TokenReviews reviews = new TokenReviews(api, Tokens.AUDIENCE);

    @AfterEach
    void close() {
        fixture.close();
        server.close();
    }

    /** Returns the status with which a real API server responds to a valid token. */
    private static JsonObject status() {
        return new JsonObject()
                .put("authenticated", true)
                .put("audiences", new JsonArray().add(Tokens.AUDIENCE))
                .put("user", new JsonObject()
                        .put("username", "system:serviceaccount:shop:cart")
                        .put("uid", "sa-uid")
                        .put("groups", new JsonArray().add("system:serviceaccounts"))
                        .put("extra", new JsonObject()
                                .put(EXTRA + "pod-name", new JsonArray().add("cart-0"))
                                .put(EXTRA + "pod-uid", new JsonArray().add("pod-uid"))
                                .put(EXTRA + "node-name", new JsonArray().add("node-1"))));
    }

    private static JsonObject user(JsonObject status) {
        return status.getJsonObject("user");
    }

    private static JsonObject extra(JsonObject status) {
        return user(status).getJsonObject("extra");
    }

    private void answer(Consumer<JsonObject> change) {
        JsonObject status = status();
        change.accept(status);
        server.answer(201, new JsonObject().put("kind", "TokenReview").put("status", status).encode());
    }

    private Verification review() {
        return fixture.result(() -> reviews.review(TOKEN));
    }

    private CallFailure failure() {
        CallFailure failure = fixture.failure(() -> reviews.review(TOKEN));
        assertThat(failure.getMessage()).doesNotContain(TOKEN.raw());
        return failure;
    }

    @Test
    void asksAboutTheTokenAndItsAudience() {
        // Given
        List<String> asked = new ArrayList<>();
        server.answer(request -> request.body().onSuccess(body -> {
            asked.add(request.method() + " " + request.uri() + " " + body);
            request.response().setStatusCode(201).end(new JsonObject().put("status", status()).encode());
        }));

        // When
        review();

        // Then
        assertThat(asked).containsExactly("POST /apis/authentication.k8s.io/v1/tokenreviews "
                + new JsonObject()
                        .put("apiVersion", "authentication.k8s.io/v1")
                        .put("kind", "TokenReview")
                        .put("spec", new JsonObject()
                                .put("token", TOKEN.raw())
                                .put("audiences", new JsonArray().add(Tokens.AUDIENCE))));
    }

    @Test
    void takesWhoItIsFromTheAnswerAndNotFromTheToken() {
        answer(status -> { });

        assertThat(review()).isEqualTo(new VerifiedClaims(
                server.url().toString(), "shop", "cart", "sa-uid", "cart-0", "pod-uid", Optional.of("node-1")));
    }

    @Test
    void doesWithoutTheNodeWhereTheClusterDoesNotSayIt() {
        answer(status -> extra(status).remove(EXTRA + "node-name"));

        assertThat(review()).isInstanceOfSatisfying(VerifiedClaims.class, claims -> assertThat(claims.node()).isEmpty());
    }

    @Test
    void rejectsWhatTheApiServerDoesNotAcceptAndDoesNotRepeatWhy() {
        server.answer(201, "{\"status\":{\"user\":{},\"error\":\"[invalid bearer token, " + TOKEN.raw() + "]\"}}");

        assertThat(review()).isEqualTo(new RejectedToken(RejectedToken.Kind.INVALID, "The API server does not accept the token:"
                + " its pod or service account was deleted, or the token is from another cluster"));
    }

    @Test
    void rejectsATokenThatIsForAnotherAudience() {
        answer(status -> status.put("audiences", new JsonArray().add("https://kubernetes.default.svc")));
        assertThat(review()).isInstanceOfSatisfying(RejectedToken.class, rejected -> assertThat(rejected.message())
                .contains("for the audience pods.eks.amazonaws.com"));

        answer(status -> status.remove("audiences"));
        assertThat(review()).isInstanceOf(RejectedToken.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "admin", "system:serviceaccount:shop", "system:serviceaccount::cart", "system:serviceaccount:a:b:c",
        "x-system:serviceaccount:shop:cart"})
    void rejectsWhoIsNoServiceAccount(String username) {
        answer(status -> user(status).put("username", username));

        assertThat(review()).isEqualTo(
                new RejectedToken(RejectedToken.Kind.INVALID, "The token does not belong to a service account"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"pod-name", "pod-uid"})
    void cannotSayMoreOfATokenThatIsBoundToNoPod(String missing) {
        answer(status -> extra(status).remove(EXTRA + missing));

        assertThat(review()).isEqualTo(new NotVerified(NotVerified.Reason.NO_POD));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "", "[]", "garbage", "{}", "{\"status\":{}}", "{\"status\":[]}", "{\"status\":{\"authenticated\":\"true\"}}",
        "{\"status\":{\"authenticated\":null}}"})
    void cannotUseAnAnswerThatIsNone(String body) {
        server.answer(201, body);

        assertThat(failure().forbidden()).isFalse();
    }

    @Test
    void cannotUseAnAnswerWithPartsOfTheWrongType() {
        List<Consumer<JsonObject>> changes = List.of(
                status -> status.put("user", "cart"),
                status -> user(status).put("username", 7),
                status -> user(status).put("uid", new JsonObject()),
                status -> user(status).remove("uid"),
                status -> user(status).put("extra", new JsonArray()),
                status -> extra(status).put(EXTRA + "pod-uid", "pod-uid"),
                status -> extra(status).put(EXTRA + "pod-uid", new JsonArray()),
                status -> extra(status).put(EXTRA + "pod-uid", new JsonArray().add("a").add("b")),
                status -> extra(status).put(EXTRA + "node-name", new JsonArray().add(1)));

        assertThat(changes).allSatisfy(change -> {
            answer(change);
            assertThat(failure()).hasMessageContaining("malformed");
        });
    }

    @Test
    void takesATokenOfItsOwnThatIsNotAcceptedForTroubleThatPasses() {
        server.answer(401, "{}");

        assertThat(failure().forbidden()).isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "'[invalid bearer token, Token has been invalidated]', false",
        "'serviceaccounts \"etcd-backup\" not found', false",
        "'', false",
        "'Get \"https://10.0.0.1\": context deadline exceeded', true",
        "'etcdserver: request timed out', true",
        "'[invalid bearer token, context deadline exceeded]', true",
        "'Internal error occurred', true",
    })
    void tellsARefusalFromTroubleOfTheApiServer(String error, boolean trouble) {
        server.answer(201, new JsonObject().put("status", new JsonObject().put("authenticated", false).put("error", error)).encode());

        Verification verdict = review();

        assertThat(verdict).isInstanceOf(trouble ? NotVerified.class : RejectedToken.class);
    }

    @Test
    void namesTheMissingRule() {
        server.answer(403, "{}");

        CallFailure failure = failure();

        assertThat(failure.forbidden()).isTrue();
        assertThat(failure).hasMessage("The agent may not have tokens reviewed (HTTP 403): give its service account a role"
                + " with apiGroups authentication.k8s.io, resources tokenreviews with the verb create");
    }

    @ParameterizedTest
    @ValueSource(ints = {302, 404, 429, 500, 503})
    void saysThatTheApiServerCannotAnswerNow(int status) {
        server.answer(status, "{}");

        CallFailure failure = failure();

        assertThat(failure.forbidden()).isFalse();
        assertThat(failure).hasMessageContaining("HTTP " + status);
    }
}
