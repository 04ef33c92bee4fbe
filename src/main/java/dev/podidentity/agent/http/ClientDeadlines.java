package dev.podidentity.agent.http;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import java.time.Duration;
import java.util.List;

/**
 * Decides within which time a request is answered, by what the client sends. AWS SDKs differ in how long they wait for an
 * answer (docs/sdks.md): those for Java and JavaScript v2 for 1 s, botocore for 2 s, Rust's for 5 s, Go's and JavaScript v3
 * without end. A client that is not known to wait longer is one that waits for 1 s.
 *
 * @param usual the time for every client that is not known to be patient
 * @param patient the time for the others; no less than the usual one, even if it is given as less
 */
record ClientDeadlines(Duration usual, Duration patient) {

    /** How the User-Agent begins: botocore's, before and after it shared urllib3, and that of Go v1 and v2. */
    private static final List<String> PATIENT = List.of("python-urllib3/", "Boto", "Go-http-client/", "aws-sdk-go");
    private static final String JSON = "application/json";

    ClientDeadlines {
        patient = patient.compareTo(usual) < 0 ? usual : patient;
    }

    /** The time within which a request with these headers is answered. */
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
        // Rust says what it accepts, and nothing of the connection; Node.js, with JavaScript v3, does the reverse.
        String accept = headers.get(HttpHeaderNames.ACCEPT);
        boolean connection = headers.contains(HttpHeaderNames.CONNECTION);
        return accept == null ? connection : accept.equals(JSON) && !connection;
    }
}
