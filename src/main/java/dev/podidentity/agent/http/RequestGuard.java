package dev.podidentity.agent.http;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpRequest;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Rejects everything that is not a request for credentials, before its token is read. */
final class RequestGuard {

    private static final String PATH = "/v1/credentials";

    private final AllowedHosts hosts;

    RequestGuard(AllowedHosts hosts) {
        this.hosts = hosts;
    }

    /** Returns the response to a rejected request; empty if it is accepted. */
    Optional<ErrorAnswer> check(HttpRequest request) {
        Target target = Target.of(request);
        if (target.authority.isEmpty() || !hosts.contains(target.authority.get())) {
            return Optional.of(ErrorAnswer.HOST);
        }
        if (!target.path.equals(PATH)) {
            return Optional.of(ErrorAnswer.PATH);
        }
        String method = request.method().name();
        if (!method.equals("GET") && !method.equals("HEAD")) {
            return Optional.of(ErrorAnswer.METHOD);
        }
        return hasBody(request.headers()) ? Optional.of(ErrorAnswer.BODY) : Optional.empty();
    }

    /** Returns whether a body follows the headers. */
    static boolean hasBody(HttpHeaders headers) {
        return hasBody(
                headers.get(HttpHeaderNames.CONTENT_LENGTH), headers.contains(HttpHeaderNames.TRANSFER_ENCODING));
    }

    /**
     * Returns whether a body follows the headers.
     *
     * @param contentLength null if there is no such header
     */
    static boolean hasBody(String contentLength, boolean transferEncoding) {
        return transferEncoding || (contentLength != null && !contentLength.strip().equals("0"));
    }

    /**
     * The target of a request.
     *
     * @param authority that of an absolute target, otherwise the Host header; empty if there is none, or several
     * @param path without the query, as it was sent
     */
    private record Target(Optional<String> authority, String path) {

        static Target of(HttpRequest request) {
            String target = request.uri();
            int scheme = target.indexOf("://");
            if (scheme > 0 && target.substring(0, scheme).toLowerCase(Locale.ROOT).matches("https?")) {
                int start = scheme + "://".length();
                int end = firstOf(target, start, "/?#");
                return new Target(Optional.of(target.substring(start, end)), withoutQuery(target.substring(end)));
            }
            List<String> hosts = request.headers().getAll(HttpHeaderNames.HOST);
            return new Target(
                    hosts.size() == 1 ? Optional.of(hosts.get(0).strip()) : Optional.empty(), withoutQuery(target));
        }

        private static String withoutQuery(String target) {
            return target.substring(0, firstOf(target, 0, "?"));
        }

        private static int firstOf(String text, int from, String characters) {
            int at = from;
            while (at < text.length() && characters.indexOf(text.charAt(at)) < 0) {
                at++;
            }
            return at;
        }
    }
}
