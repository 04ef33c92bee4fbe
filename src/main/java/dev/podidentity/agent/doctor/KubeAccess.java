package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiServerAddress;
import dev.podidentity.agent.doctor.Web.Route;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.outbound.TrustRoots;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import javax.net.ssl.TrustManager;

/**
 * The API server and the identity for calling it.
 *
 * @param token a secret
 * @param as the identity, as part of a sentence
 */
record KubeAccess(URI server, Optional<String> token, Route route, String as) {

    /**
     * Uses the service account of this container.
     *
     * @throws CallFailure if there is none, with what to do
     */
    static KubeAccess inCluster(AgentSettings settings, Map<String, String> environment) throws CallFailure {
        ApiServerAddress address;
        try {
            address = ApiServerAddress.of(settings.apiServer(), settings.serviceAccount(), environment);
        } catch (IllegalArgumentException e) {
            throw new CallFailure(e.getMessage(), false);
        }
        String as = "the agent's service account";
        if (!"https".equalsIgnoreCase(address.url().getScheme())) {
            // A plain-text API server, such as kubectl proxy, authenticates upstream with its own identity.
            return new KubeAccess(address.url(), Optional.empty(), Route.DIRECT, as);
        }
        String token = new String(content(address.serviceAccount().resolve("token")), StandardCharsets.UTF_8).strip();
        Path authority = address.serviceAccount().resolve("ca.crt");
        return new KubeAccess(
                address.url(),
                Optional.of(token),
                new Route(Optional.empty(), Optional.of(trust(content(authority), authority.toString())), Optional.empty()),
                as);
    }

    static TrustManager[] trust(byte[] pem, String where) throws CallFailure {
        try {
            return TrustRoots.of(pem, "The API server's certificate authority is expected in " + where);
        } catch (IllegalArgumentException e) {
            throw new CallFailure(e.getMessage(), false);
        }
    }

    private static byte[] content(Path file) throws CallFailure {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new CallFailure("The file " + file + " cannot be read: mount the service account's token into the agent's"
                    + " pod, or set --service-account-path", false);
        }
    }

    /** Omits the token. */
    @Override
    public String toString() {
        return "KubeAccess[" + server + "]";
    }
}
