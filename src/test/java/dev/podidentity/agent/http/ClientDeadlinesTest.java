package dev.podidentity.agent.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import io.netty.handler.codec.http.DefaultHttpHeaders;
import io.netty.handler.codec.http.HttpHeaders;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The SDKs' headers as they were observed on the wire; docs/sdks.md lists them all. */
class ClientDeadlinesTest {

    private static final Duration USUAL = Duration.ofMillis(900);
    private static final Duration PATIENT = Duration.ofMillis(1900);

    private final ClientDeadlines deadlines = new ClientDeadlines(USUAL, PATIENT);

    @ParameterizedTest
    @ValueSource(strings = {
        "python-urllib3/2.8.0",
        "Boto3/1.9.0 Python/2.7.6 Linux/3.13.0 Botocore/1.12.0",
        "Botocore/1.12.0",
        "Go-http-client/1.1",
        "aws-sdk-go/1.55.8 (go1.26.8; linux; amd64)",
        "aws-sdk-go-v2/1.41.0 os/linux lang/go#1.26.8",
    })
    void letsTheSdksWaitThatCan(String userAgent) {
        assertThat(deadlines.of(headers(Map.of("User-Agent", userAgent, "Accept", "application/json")))).isEqualTo(PATIENT);
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "aws-sdk-java/1.12.797 Linux/6.18 OpenJDK_64-Bit_Server_VM/17.0.15 java/17.0.15 vendor/Debian",
        "aws-sdk-java/2.40.2 os/Linux#6.18 lang/java#17.0.15 md/vendor#Debian md/en_US",
        "aws-sdk-nodejs/2.1693.0 linux/v20.20.2",
        "aws-sdk-cpp/1.11.600 os/Linux/6.18 lang/c++#C++11",
        "GuzzleHttp/7 aws-sdk-php/3.300.0 OS/Linux",
        "curl/8.0",
        "",
        "not python-urllib3/2.8.0",
    })
    void answersTheOthersBeforeASecondIsOver(String userAgent) {
        assertThat(deadlines.of(headers(Map.of("User-Agent", userAgent, "Accept", "application/json")))).isEqualTo(USUAL);
    }

    @Test
    void letsNobodyWaitForLessThanTheOthers() {
        Duration twenty = Duration.ofSeconds(20);

        assertThat(new ClientDeadlines(twenty, PATIENT).of(headers(Map.of("User-Agent", "Go-http-client/1.1")))).isEqualTo(twenty);
    }

    static Stream<Arguments> withoutUserAgent() {
        return Stream.of(
                arguments("Rust", Map.of("accept", "application/json"), PATIENT),
                arguments("JavaScript v3", Map.of("Connection", "keep-alive"), PATIENT),
                arguments("JavaScript v3 on an old Node.js", Map.of("Connection", "close"), PATIENT),
                arguments("bare", Map.of(), USUAL),
                arguments("HttpURLConnection", Map.of("Accept", "*/*; q=0.2", "Connection", "keep-alive"), USUAL),
                arguments("both", Map.of("Accept", "application/json", "Connection", "keep-alive"), USUAL));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("withoutUserAgent")
    void knowsSdksWithoutAUserAgentByTheirOtherHeaders(String sdk, Map<String, String> sent, Duration deadline) {
        assertThat(deadlines.of(headers(sent))).as(sdk).isEqualTo(deadline);
    }

    private static HttpHeaders headers(Map<String, String> sent) {
        HttpHeaders headers = new DefaultHttpHeaders();
        sent.forEach(headers::set);
        for (String name : List.of("Host", "Authorization")) {
            headers.set(name, "x");
        }
        return headers;
    }
}
