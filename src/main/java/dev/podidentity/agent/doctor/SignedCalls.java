package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.apiserver.Callee;
import dev.podidentity.agent.doctor.Web.Ask;
import dev.podidentity.agent.doctor.Web.Route;
import dev.podidentity.agent.outbound.CallFailure;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.http.ContentStreamProvider;
import software.amazon.awssdk.http.SdkHttpMethod;
import software.amazon.awssdk.http.SdkHttpRequest;
import software.amazon.awssdk.http.auth.aws.signer.AwsV4HttpSigner;
import software.amazon.awssdk.http.auth.spi.signer.SignedRequest;

/**
 * Plain calls to AWS, signed by the SDK's own signer. docs/decisions/0002-dependencies.md explains why no client of the SDK
 * is used.
 */
final class SignedCalls {

    private final Web web;

    SignedCalls(Web web) {
        this.web = web;
    }

    /**
     * Makes a call. Blocks.
     *
     * @param service its name in signatures
     * @throws CallFailure if there is no complete response, with what to do
     */
    ApiAnswer make(
            String method,
            URI url,
            Optional<Body> body,
            AwsCredentials credentials,
            String service,
            String region,
            Route route,
            Callee callee)
            throws CallFailure {
        SdkHttpRequest.Builder request = SdkHttpRequest.builder().uri(url).method(SdkHttpMethod.fromValue(method));
        body.ifPresent(sent -> request.putHeader("Content-Type", sent.mediaType()));
        SignedRequest signed = AwsV4HttpSigner.create().sign(sign -> {
            sign.identity(credentials)
                    .request(request.build())
                    .putProperty(AwsV4HttpSigner.SERVICE_SIGNING_NAME, service)
                    .putProperty(AwsV4HttpSigner.REGION_NAME, region);
            body.ifPresent(sent -> sign.payload(
                    ContentStreamProvider.fromByteArray(sent.text().getBytes(StandardCharsets.UTF_8))));
        });
        Map<String, String> headers = new HashMap<>();
        signed.request().forEachHeader((name, values) -> headers.put(name, String.join(",", values)));
        // The HTTP client sets these to the same values.
        headers.remove("Host");
        return web.ask(new Ask(method, url, headers, body.map(Body::text), route, Web.TIMEOUT, callee));
    }

    /** The body of a request. */
    record Body(String mediaType, String text) {}
}
