package dev.podidentity.agent.http;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import java.time.Duration;
import java.util.List;

/**
 * Determines the deadline of a request from its headers. AWS SDKs have different timeouts (docs/sdks.md): Java and
 * JavaScript v2 wait for 1 s, botocore for 2 s, Rust for 5 s, and Go and JavaScript v3 without limit. Unknown clients are
 * assumed to wait for 1 s.
 *
 * @param usual the deadline for clients that are not known to be patient
 * @param patient the deadline for the others; at least the usual one
 */
record ClientDeadlines(Duration usual, Duration patient) {

    /** Prefixes of the User-Agent: botocore before and after it used urllib3, and Go v1 and v2. */
    private static final List<String> PATIENT = List.of("python-urllib3/", "Boto", "Go-http-client/", "aws-sdk-go");
    private static final String JSON = "application/json";

    ClientDeadlines {
        patient = patient.compareTo(usual) < 0 ? usual : patient;
    }

    /** Returns the deadline of a request with these headers. */
    Duration of(HttpHeaders headers) {
        return patient(headers) ? patient : usual;
    }

    private static boolean patient(HttpHeaders headers) {
        String userAgent = headers.get(HttpHeaderNames.USER_AGENT);
        if (userAgent != null) {
            for (String start : PATIENT) {
                if (userAgent.startsWith(start)) {
                    return true;
                }
            }
            return false;
        }
        // Rust sends Accept without Connection; Node.js, with JavaScript v3, does the reverse.
        String accept = headers.get(HttpHeaderNames.ACCEPT);
        boolean connection = headers.contains(HttpHeaderNames.CONNECTION);
        return accept == null ? connection : accept.equals(JSON) && !connection;
    }
}
