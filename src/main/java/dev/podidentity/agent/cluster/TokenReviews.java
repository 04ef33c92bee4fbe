package dev.podidentity.agent.cluster;

import dev.podidentity.agent.apiserver.ApiServer;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import dev.podidentity.agent.verification.TokenReviewer;
import io.vertx.core.Future;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Verifies tokens by reviews of the API server, which also knows whether the pod and the service account still exist. The
 * claims come from the review alone, never from the token. Confined to the event loop.
 *
 * <p>The issuer of the claims is the API server's URL: whichever of the cluster's issuers issued the token, it is this
 * cluster's, and UIDs are unique within one cluster.
 */
public final class TokenReviews implements TokenReviewer {

    private static final String PATH = "/apis/authentication.k8s.io/v1/tokenreviews";
    private static final String EXTRA = "authentication.kubernetes.io/";
    private static final Pattern USER = Pattern.compile("system:serviceaccount:([^:]+):([^:]+)");

    private final ApiServer api;
    private final String audience;

    /** @param audience the audience that a token must have */
    public TokenReviews(ApiServer api, String audience) {
        this.api = api;
        this.audience = audience;
    }

    @Override
    public Future<Verification> review(ServiceAccountToken token) {
        JsonObject review = new JsonObject()
                .put("apiVersion", "authentication.k8s.io/v1")
                .put("kind", "TokenReview")
                .put("spec", new JsonObject().put("token", token.raw()).put("audiences", new JsonArray().add(audience)));
        return api.post(PATH, review).compose(answer -> {
            if (!answer.ok()) {
                return Future.failedFuture(Permission.REVIEW_TOKENS.missing(answer));
            }
            try {
                return Future.succeededFuture(read(answer.json("a token review")));
            } catch (CallFailure failure) {
                return Future.failedFuture(failure);
            }
        });
    }

    private Verification read(JsonObject review) throws CallFailure {
        JsonObject status = object(review, "status");
        // The API server omits false, but an empty status is not an answer.
        Object authenticated = status.getValue("authenticated", false);
        if (status.isEmpty() || !(authenticated instanceof Boolean accepted)) {
            throw unusable();
        }
        // The review's error is not repeated: it does not help the pod's owner, and might contain parts of the token.
        if (!accepted) {
            if (new ReviewError(text(status, "error")).lookUpFailed()) {
                return new NotVerified(NotVerified.Reason.API_SERVER);
            }
            return new RejectedToken(RejectedToken.Kind.INVALID, "The API server does not accept the token: its pod or service"
                    + " account was deleted, or the token is from another cluster");
        }
        if (!(status.getValue("audiences") instanceof JsonArray audiences && audiences.contains(audience))) {
            return new RejectedToken(RejectedToken.Kind.INVALID, "The API server does not accept the token for the audience "
                    + audience + ": use the token file that EKS Pod Identity mounts into the pod");
        }
        JsonObject user = object(status, "user");
        Matcher name = USER.matcher(text(user, "username"));
        if (!name.matches()) {
            return new RejectedToken(RejectedToken.Kind.INVALID, "The token does not belong to a service account");
        }
        if (text(user, "uid").isEmpty()) {
            throw unusable();
        }
        JsonObject extra = object(user, "extra");
        String pod = first(extra, "pod-name");
        String podUid = first(extra, "pod-uid");
        if (pod.isEmpty() || podUid.isEmpty()) {
            return new NotVerified(NotVerified.Reason.NO_POD);
        }
        return new VerifiedClaims(
                api.url().toString(),
                name.group(1),
                name.group(2),
                text(user, "uid"),
                pod,
                podUid,
                Optional.of(first(extra, "node-name")).filter(node -> !node.isEmpty()));
    }

    /** Returns the member; an empty object if it is absent. */
    private static JsonObject object(JsonObject parent, String name) throws CallFailure {
        Object value = parent.getValue(name);
        if (value == null) {
            return new JsonObject();
        }
        if (value instanceof JsonObject object) {
            return object;
        }
        throw unusable();
    }

    /** Returns the member; an empty string if it is absent. */
    private static String text(JsonObject parent, String name) throws CallFailure {
        Object value = parent.getValue(name);
        if (value == null) {
            return "";
        }
        if (value instanceof String text) {
            return text;
        }
        throw unusable();
    }

    private static String first(JsonObject extra, String name) throws CallFailure {
        Object values = extra.getValue(EXTRA + name);
        if (values == null) {
            return "";
        }
        if (values instanceof JsonArray array && array.size() == 1 && array.getValue(0) instanceof String text) {
            return text;
        }
        throw unusable();
    }

    private static CallFailure unusable() {
        return new CallFailure("The API server's response to a token review is malformed: a field is missing or has the wrong"
                + " type", false);
    }
}
