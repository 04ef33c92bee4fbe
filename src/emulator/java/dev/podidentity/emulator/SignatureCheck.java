package dev.podidentity.emulator;

import io.vertx.core.MultiMap;
import io.vertx.core.http.HttpServerRequest;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Recomputes the Signature Version 4 of a request, and rejects the request as AWS does if it differs. */
final class SignatureCheck {

    private static final String ALGORITHM = "AWS4-HMAC-SHA256";
    private static final String SERVICE = "eks-auth";
    private static final String TERMINATOR = "aws4_request";
    private static final Pattern AUTHORIZATION = Pattern.compile(ALGORITHM
            + " Credential=(\\w+)/(\\d{8})/([-\\w]+)/([-\\w]+)/" + TERMINATOR
            + ",\\s*SignedHeaders=([-;a-z0-9]+),\\s*Signature=([0-9a-f]{64})");
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);
    /** The tolerance of AWS in both directions. */
    private static final Duration SKEW = Duration.ofMinutes(5);

    private final EmulatorConfig config;

    SignatureCheck(EmulatorConfig config) {
        this.config = config;
    }

    void check(HttpServerRequest request, byte[] body, Instant now) throws Refusal {
        String header = request.getHeader("Authorization");
        if (header == null) {
            throw Refusal.unsigned("MissingAuthenticationTokenException", "Missing Authentication Token");
        }
        Matcher authorization = AUTHORIZATION.matcher(header);
        if (!authorization.matches()) {
            throw Refusal.unsigned("IncompleteSignatureException", "The Authorization header is not of the form that "
                    + ALGORITHM + " Credential=..., SignedHeaders=..., Signature=... has");
        }
        String date = authorization.group(2);
        List<String> signedHeaders = List.of(authorization.group(5).split(";"));
        checkCredentials(request, authorization.group(1));
        checkScope(authorization.group(3), authorization.group(4));
        String time = checkTime(request, date, now);
        checkSignedHeaders(request, signedHeaders);

        String scope = String.join("/", date, config.region(), SERVICE, TERMINATOR);
        String canonicalRequest = canonicalRequest(request, signedHeaders, body);
        String hash = sha256(canonicalRequest.getBytes(StandardCharsets.UTF_8));
        String toSign = String.join("\n", ALGORITHM, time, scope, hash);
        byte[] key = hmac(("AWS4" + config.nodeSecretAccessKey()).getBytes(StandardCharsets.UTF_8), date);
        for (String part : List.of(config.region(), SERVICE, TERMINATOR)) {
            key = hmac(key, part);
        }
        byte[] given = HexFormat.of().parseHex(authorization.group(6));
        if (!MessageDigest.isEqual(given, hmac(key, toSign))) {
            throw invalid("The request signature we calculated does not match the signature you provided. Check your "
                    + "AWS Secret Access Key and signing method. Consult the service documentation for details.");
        }
    }

    private void checkCredentials(HttpServerRequest request, String accessKeyId) throws Refusal {
        Optional<String> sessionToken = Optional.ofNullable(request.getHeader("X-Amz-Security-Token"));
        if (!accessKeyId.equals(config.nodeAccessKeyId()) || !sessionToken.equals(config.nodeSessionToken())) {
            throw Refusal.unsigned(
                    "UnrecognizedClientException", "The security token included in the request is invalid.");
        }
    }

    private void checkScope(String region, String service) throws Refusal {
        if (!region.equals(config.region())) {
            throw invalid("Credential should be scoped to a valid region, not '" + region + "'.");
        }
        if (!service.equals(SERVICE)) {
            throw invalid("Credential should be scoped to correct service: '" + SERVICE + "'.");
        }
    }

    private static String checkTime(HttpServerRequest request, String date, Instant now) throws Refusal {
        String time = request.getHeader("X-Amz-Date");
        if (time == null || !time.startsWith(date)) {
            throw invalid("X-Amz-Date must be present and of the day that the credential is scoped to.");
        }
        try {
            Instant signed = TIME.parse(time, Instant::from);
            if (Duration.between(signed, now).abs().compareTo(SKEW) > 0) {
                throw invalid("Signature expired: " + time + " is not within " + SKEW.toMinutes() + " min. of "
                        + TIME.format(now));
            }
        } catch (DateTimeParseException e) {
            throw invalid("X-Amz-Date must be in the form yyyyMMdd'T'HHmmss'Z'.");
        }
        return time;
    }

    /** Otherwise a proxy could change headers that matter to the call. */
    private static void checkSignedHeaders(HttpServerRequest request, List<String> signedHeaders) throws Refusal {
        for (String name : request.headers().names()) {
            String lower = name.toLowerCase(Locale.ROOT);
            if ((lower.equals("host") || lower.startsWith("x-amz-")) && !signedHeaders.contains(lower)) {
                throw invalid("'" + lower + "' must be a 'SignedHeader' in the AWS Authorization.");
            }
        }
    }

    private static String canonicalRequest(HttpServerRequest request, List<String> signedHeaders, byte[] body) {
        MultiMap headers = request.headers();
        String canonicalHeaders = signedHeaders.stream()
                .map(name -> name + ":" + headers.getAll(name).stream()
                        .map(value -> value.strip().replaceAll(" +", " "))
                        .collect(Collectors.joining(",")) + "\n")
                .collect(Collectors.joining());
        return String.join("\n",
                request.method().name(),
                encodedPath(request.path()),
                sortedQuery(request.query()),
                canonicalHeaders,
                String.join(";", signedHeaders),
                sha256(body));
    }

    /** All services except S3 sign the path with one more level of encoding than they send. */
    private static String encodedPath(String path) {
        return URLEncoder.encode(path, StandardCharsets.UTF_8)
                .replace("%2F", "/")
                .replace("%7E", "~")
                .replace("+", "%20")
                .replace("*", "%2A");
    }

    private static String sortedQuery(String query) {
        if (query == null || query.isEmpty()) {
            return "";
        }
        return Arrays.stream(query.split("&"))
                .map(parameter -> parameter.contains("=") ? parameter : parameter + "=")
                .sorted()
                .collect(Collectors.joining("&"));
    }

    private static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every Java platform has SHA-256", e);
        }
    }

    private static byte[] hmac(byte[] key, String data) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            return mac.doFinal(data.getBytes(StandardCharsets.UTF_8));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("Every Java platform has HmacSHA256", e);
        }
    }

    private static Refusal invalid(String message) {
        return Refusal.unsigned("InvalidSignatureException", message);
    }
}
