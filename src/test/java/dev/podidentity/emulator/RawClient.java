package dev.podidentity.emulator;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.http.ContentStreamProvider;
import software.amazon.awssdk.http.SdkHttpMethod;
import software.amazon.awssdk.http.SdkHttpRequest;
import software.amazon.awssdk.http.auth.aws.signer.AwsV4HttpSigner;
import software.amazon.awssdk.http.auth.spi.signer.HttpSigner;

/** Makes calls that the SDK would not make: the SDK signs them, but they are sent once, unchanged, and return a raw response. */
final class RawClient {

    /** The headers that the HTTP client itself sets, to the same values. */
    private static final Set<String> OF_THE_CLIENT = Set.of("host", "content-length");

    private final HttpClient http = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
    private final EksAuthEmulator emulator;

    RawClient(EksAuthEmulator emulator) {
        this.emulator = emulator;
    }

    static String body(String token) {
        return "{\"token\":\"" + token + "\"}";
    }

    HttpResponse<String> assumeRole(String token) throws IOException, InterruptedException {
        return send(signed(body(token), Signing.of(emulator)), body(token));
    }

    HttpRequest.Builder signed(String body, Signing signing) {
        SdkHttpRequest unsigned = SdkHttpRequest.builder()
                .method(SdkHttpMethod.POST)
                .uri(assumeRoleUri())
                .putHeader("Content-Type", "application/json")
                .build();
        SdkHttpRequest signed = AwsV4HttpSigner.create()
                .sign(sign -> sign.identity(signing.credentials())
                        .request(unsigned)
                        .payload(ContentStreamProvider.fromUtf8String(body))
                        .putProperty(AwsV4HttpSigner.REGION_NAME, signing.region())
                        .putProperty(AwsV4HttpSigner.SERVICE_SIGNING_NAME, signing.service())
                        .putProperty(HttpSigner.SIGNING_CLOCK, signing.clock()))
                .request();
        HttpRequest.Builder request = HttpRequest.newBuilder(assumeRoleUri());
        for (Map.Entry<String, List<String>> header : signed.headers().entrySet()) {
            if (!OF_THE_CLIENT.contains(header.getKey().toLowerCase(Locale.ROOT))) {
                header.getValue().forEach(value -> request.header(header.getKey(), value));
            }
        }
        return request;
    }

    HttpResponse<String> send(HttpRequest.Builder request, String body) throws IOException, InterruptedException {
        return send(request.POST(HttpRequest.BodyPublishers.ofString(body)));
    }

    HttpResponse<String> control(String method, String path, String body) throws IOException, InterruptedException {
        return send(HttpRequest.newBuilder(emulator.endpoint().resolve(path))
                .method(method, HttpRequest.BodyPublishers.ofString(body)));
    }

    private HttpResponse<String> send(HttpRequest.Builder request) throws IOException, InterruptedException {
        return http.send(
                request.timeout(Duration.ofSeconds(5)).build(),
                HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
    }

    URI assumeRoleUri() {
        return emulator.endpoint().resolve("/clusters/" + emulator.clusterName() + "/assume-role-for-pod-identity");
    }

    /** The parameters with which a call is signed. */
    record Signing(AwsCredentials credentials, String region, String service, Clock clock) {

        static Signing of(EksAuthEmulator emulator) {
            AwsCredentials node = AwsBasicCredentials.create(emulator.accessKeyId(), emulator.secretAccessKey());
            return new Signing(node, emulator.region(), "eks-auth", Clock.systemUTC());
        }

        Signing withClockOff(Duration by) {
            return new Signing(credentials, region, service, Clock.offset(clock, by));
        }

        Signing withCredentials(AwsCredentials value) {
            return new Signing(value, region, service, clock);
        }

        Signing withScope(String otherRegion, String otherService) {
            return new Signing(credentials, otherRegion, otherService, clock);
        }
    }
}
