package dev.podidentity.agent.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class ReviewErrorTest {

    /** Names that Kubernetes allows but that could be mistaken for error text. */
    private static final List<String> NAMES = List.of(
            "etcd", "etcd-backup", "etcdserver", "geofence", "eof", "unexpected-eof", "unexpected.eof", "timeout", "timed-out",
            "timed.out", "i-o-timeout", "connection", "connection-pool", "connection-refused", "connection.refused",
            "connection-reset-by-peer", "unavailable", "service-unavailable", "context-deadline-exceeded", "deadline.exceeded",
            "internal-error-occurred", "too-many-requests", "canceled", "request-cancelled", "rpc-error", "dial-tcp", "dial.tcp",
            "http2", "tls", "x509", "server-closed", "shutting-down", "broken-pipe", "no-such-host", "forbidden");

    /** Returns the errors of Kubernetes' authenticators for rejected tokens, with each of {@link #NAMES} as every name. */
    static Stream<String> refusals() {
        return NAMES.stream().flatMap(name -> Stream.of(
                "serviceaccounts \"" + name + "\" not found",
                "[invalid bearer token, serviceaccounts \"" + name + "\" not found]",
                "service account " + name + "/" + name + " has been deleted",
                "[invalid bearer token, ServiceAccount " + name + "/" + name + " has been deleted]",
                "pods \"" + name + "\" not found",
                "nodes \"" + name + "\" not found",
                "secrets \"" + name + "\" not found",
                "namespaces \"" + name + "\" not found",
                "token audiences [\"" + name + "\" \"a \\\" i/o timeout\"] is invalid for the target audiences [\"" + name + "\"]",
                "token issuer \"https://" + name + "\" is invalid",
                "[invalid bearer token, oidc: no subject for " + name + "]",
                name));
    }

    @ParameterizedTest
    @MethodSource("refusals")
    void takesNoNameForTrouble(String error) {
        assertThat(new ReviewError(error).lookUpFailed()).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "",
        "invalid bearer token",
        "[invalid bearer token, Token has been invalidated]",
        "[invalid bearer token, service account token has been invalidated]",
        "service account token has expired",
        "service account token is not valid yet",
        "service account token claims could not be validated due to unexpected validation error",
        "service account UID (7b1f-eof) does not match claim (0d2c)",
        "pod UID (7b1f) does not match service account pod ref claim (0d2c)",
        "invalid signature, no keys found",
        "[invalid bearer token, go-jose/go-jose: error in cryptographic primitive]",
        "words that nobody has thought of"
    })
    void believesARefusal(String error) {
        assertThat(new ReviewError(error).lookUpFailed()).isFalse();
    }

    static Stream<String> failures() {
        return Stream.of(
                        "context deadline exceeded",
                        "etcdserver: request timed out",
                        "etcdserver: leader changed",
                        "rpc error: code = Unavailable desc = transport is closing",
                        "dial tcp 10.0.0.1:443: connect: connection refused",
                        "read tcp 10.0.0.1:5021->10.0.0.1:443: read: connection reset by peer",
                        "Get \"https://[::1]:6443/api/v1/namespaces/shop/serviceaccounts/cart\": dial tcp [::1]:6443: i/o timeout",
                        "Get \"https://[::1]:6443/api/v1/namespaces/shop/serviceaccounts/cart\": context deadline exceeded",
                        "Get \"https://[::1]:6443/api/v1/namespaces/shop/serviceaccounts/cart\": EOF",
                        "Get \"https://[::1]:6443/api/v1/namespaces/shop/serviceaccounts/cart\": http2: client connection lost",
                        "Get \"https://[::1]:6443/api/v1/namespaces/shop/serviceaccounts/cart\": net/http: TLS handshake timeout",
                        "unexpected EOF",
                        "too many requests",
                        "Too many requests, please try again later.",
                        "the server has received too many requests and has asked us to try again later (get serviceaccounts cart)",
                        "the server is currently unable to handle the request (get serviceaccounts cart)",
                        "the server was unable to return a response in the time allotted, but may still be processing the"
                                + " request (get serviceaccounts cart)",
                        "an error on the server (\"\") has prevented the request from succeeding (get serviceaccounts cart)",
                        "Internal error occurred: storage is (re)initializing",
                        "Timeout: request did not complete within the allotted timeout",
                        "The get operation against serviceaccounts could not be completed at this time, please try again.",
                        "client rate limiter Wait returned an error: context canceled",
                        "serviceaccounts \"cart\" is forbidden: User \"system:apiserver\" cannot get resource",
                        "apiserver is shutting down")
                .flatMap(failure -> Stream.of(
                        failure, "[invalid bearer token, " + failure + "]", "[" + failure + ", invalid bearer token]"));
    }

    @ParameterizedTest
    @MethodSource("failures")
    void takesAFailedLookUpForTroubleWhateverStandsBesideIt(String error) {
        assertThat(new ReviewError(error).lookUpFailed()).isTrue();
    }

    /** The responsible authenticator has rejected the token, so errors of the others, such as a webhook, are irrelevant. */
    @Test
    void believesARefusalBesideAnothersTrouble() {
        assertThat(new ReviewError("[service account token has been invalidated, Post \"https://127.0.0.1:21362/authenticate\":"
                        + " dial tcp 127.0.0.1:21362: connect: connection refused]").lookUpFailed())
                .isFalse();
        assertThat(new ReviewError("[serviceaccounts \"cart\" not found, context deadline exceeded]").lookUpFailed()).isFalse();
    }
}
