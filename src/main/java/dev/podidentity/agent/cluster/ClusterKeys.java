package dev.podidentity.agent.cluster;

import dev.podidentity.agent.apiserver.ApiServer;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.verification.KeySource;
import io.vertx.core.Future;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Optional;

/**
 * Fetches the signing keys that the API server publishes. Their issuer is that of the agent's own token, which the same API
 * server issued; if that token names none, it is the one in the API server's discovery document. Confined to the event loop.
 */
public final class ClusterKeys implements KeySource {

    private static final String KEYS = "/openid/v1/jwks";
    /**
     * The issuer of legacy tokens, which are kept in Secrets; pods no longer get them, and projected tokens have another
     * issuer.
     */
    private static final String LEGACY_ISSUER = "kubernetes/serviceaccount";

    private final ApiServer api;

    public ClusterKeys(ApiServer api) {
        this.api = api;
    }

    @Override
    public Future<PublishedKeys> fetch() {
        return api.get(KEYS, Discovery.ACCEPT_KEYS).compose(keys -> keys.ok()
                ? issuer().map(issuer -> new PublishedKeys(issuer, keys.body().toString(StandardCharsets.UTF_8)))
                : Future.failedFuture(Permission.READ_KEYS.missing(keys)));
    }

    private Future<String> issuer() {
        return api.ownToken().compose(token -> token.flatMap(ClusterKeys::issuerOf)
                .map(Future::succeededFuture)
                .orElseGet(this::discoveredIssuer));
    }

    private Future<String> discoveredIssuer() {
        return api.get(Discovery.PATH, Discovery.ACCEPT).compose(answer -> {
            if (!answer.ok()) {
                return Future.failedFuture(Permission.READ_ISSUER.missing(answer));
            }
            try {
                return Future.succeededFuture(
                        Discovery.member(answer.json("the API server's discovery document"), "issuer"));
            } catch (CallFailure failure) {
                return Future.failedFuture(failure);
            }
        });
    }

    /** Returns the issuer of the agent's own token. The token needs no verification: it came from this node's kubelet. */
    private static Optional<String> issuerOf(String token) {
        String[] parts = token.split("\\.", -1);
        if (parts.length != 3) {
            return Optional.empty();
        }
        try {
            String claims = new String(Base64.getUrlDecoder().decode(parts[1]), StandardCharsets.UTF_8);
            return Optional.ofNullable(new JsonObject(claims).getValue("iss"))
                    .filter(String.class::isInstance)
                    .map(String.class::cast)
                    .filter(issuer -> !issuer.isBlank() && !issuer.equals(LEGACY_ISSUER));
        } catch (IllegalArgumentException | DecodeException e) {
            return Optional.empty();
        }
    }
}
