package dev.podidentity.emulator;

import dev.podidentity.emulator.TokenRequest.Algorithm;
import java.nio.charset.StandardCharsets;
import java.security.Key;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.Base64;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Stream;
import org.jose4j.jwa.AlgorithmConstraints;
import org.jose4j.jwa.AlgorithmConstraints.ConstraintType;
import org.jose4j.jwk.EcJwkGenerator;
import org.jose4j.jwk.JsonWebKey.OutputControlLevel;
import org.jose4j.jwk.JsonWebKeySet;
import org.jose4j.jwk.PublicJsonWebKey;
import org.jose4j.jwk.RsaJwkGenerator;
import org.jose4j.jws.AlgorithmIdentifiers;
import org.jose4j.jws.JsonWebSignature;
import org.jose4j.jwt.JwtClaims;
import org.jose4j.jwt.MalformedClaimException;
import org.jose4j.jwt.NumericDate;
import org.jose4j.jwt.consumer.InvalidJwtException;
import org.jose4j.jwt.consumer.JwtConsumerBuilder;
import org.jose4j.keys.EllipticCurves;
import org.jose4j.lang.JoseException;
import org.jose4j.lang.UnresolvableKeyException;

/**
 * Issues projected service account tokens like an API server, and verifies them like EKS Auth. All instances in a JVM share
 * their keys, because generating an RSA key takes a while. Any thread.
 */
public final class TokenMint {

    /** The issuer of all tokens that this EKS Auth accepts. */
    public static final String ISSUER = "https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E";

    private final String audience;

    /** @param audience the default audience of issued tokens, and the audience that valid tokens must have */
    public TokenMint(String audience) {
        this.audience = audience;
    }

    /** Returns the request behind {@link #mint(String, String, String)}, for changes before it is minted. */
    public TokenRequest request(String namespace, String serviceAccount, String pod) {
        return TokenRequest.of(
                ISSUER, audience, namespace, serviceAccount, uid(namespace + "/" + serviceAccount), pod);
    }

    /** Returns a token like that of a new pod: valid for 24 hours from now, signed with RS256. */
    public String mint(String namespace, String serviceAccount, String pod) {
        return mint(request(namespace, serviceAccount, pod));
    }

    public String mint(TokenRequest request) {
        JwtClaims claims = new JwtClaims();
        claims.setStringListClaim("aud", request.audience());
        claims.setExpirationTime(date(request.expiresAt()));
        claims.setIssuedAt(date(request.issuedAt()));
        claims.setIssuer(request.issuer());
        claims.setJwtId(UUID.randomUUID().toString());
        claims.setClaim("kubernetes.io", Map.of(
                "namespace", request.namespace(),
                "node", Map.of("name", request.node(), "uid", uid(request.node())),
                "pod", Map.of("name", request.pod(), "uid", request.podUid()),
                "serviceaccount", Map.of("name", request.serviceAccount(), "uid", request.serviceAccountUid())));
        claims.setNotBefore(date(request.notBefore()));
        claims.setSubject(subject(request.namespace(), request.serviceAccount()));

        PublicJsonWebKey key = key(request.algorithm());
        JsonWebSignature signature = new JsonWebSignature();
        signature.setPayload(claims.toJson());
        signature.setAlgorithmHeaderValue(key.getAlgorithm());
        signature.setKeyIdHeaderValue(key.getKeyId());
        signature.setKey(key.getPrivateKey());
        try {
            return signature.getCompactSerialization();
        } catch (JoseException e) {
            throw new IllegalStateException("Cannot sign a token", e);
        }
    }

    /** Returns the public keys for these algorithms, as an API server publishes them. */
    public String jwks(Algorithm... algorithms) {
        return new JsonWebKeySet(Stream.of(algorithms).map(TokenMint::key).toList())
                .toJson(OutputControlLevel.PUBLIC_ONLY);
    }

    /** Returns the private key for an algorithm in PEM format, for an API server whose tokens this EKS Auth accepts. */
    public String privateKey(Algorithm algorithm) {
        return pem("PRIVATE KEY", key(algorithm).getPrivateKey());
    }

    /** Returns the public key for an algorithm in PEM format. */
    public String publicKey(Algorithm algorithm) {
        return pem("PUBLIC KEY", key(algorithm).getPublicKey());
    }

    private static String pem(String type, Key key) {
        String base64 = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(key.getEncoded());
        return "-----BEGIN " + type + "-----\n" + base64 + "\n-----END " + type + "-----\n";
    }

    private static PublicJsonWebKey key(Algorithm algorithm) {
        return switch (algorithm) {
            case RS256 -> RsaKey.KEY;
            case ES256 -> EcKey.KEY;
        };
    }

    /** Checks the signature, times, issuer, audience and pod claims of a token. */
    public TokenVerification verify(String token, Instant now) {
        int parts = token.split("\\.", -1).length;
        if (parts != 3) {
            return new TokenVerification.Invalid("The token has " + parts + " parts instead of 3");
        }
        try {
            JwtClaims claims = new JwtConsumerBuilder()
                    .setVerificationKeyResolver((signature, context) -> publicKey(signature).getPublicKey())
                    .setJwsAlgorithmConstraints(new AlgorithmConstraints(
                            ConstraintType.PERMIT, AlgorithmIdentifiers.RSA_USING_SHA256,
                            AlgorithmIdentifiers.ECDSA_USING_P256_CURVE_AND_SHA256))
                    .setExpectedIssuer(ISSUER)
                    .setExpectedAudience(audience)
                    .setRequireSubject()
                    .setRequireExpirationTime()
                    .setEvaluationTime(date(now))
                    .build()
                    .processToClaims(token);
            return workload(claims);
        } catch (InvalidJwtException e) {
            return failure(e);
        } catch (MalformedClaimException e) {
            return new TokenVerification.Invalid("The token has a claim of the wrong type");
        }
    }

    private static TokenVerification workload(JwtClaims claims) throws MalformedClaimException {
        Map<?, ?> kubernetes = claims.getClaimValue("kubernetes.io", Map.class);
        if (kubernetes != null
                && kubernetes.get("namespace") instanceof String namespace
                && kubernetes.get("serviceaccount") instanceof Map<?, ?> serviceAccount
                && serviceAccount.get("name") instanceof String name
                && kubernetes.get("pod") instanceof Map<?, ?> pod
                && pod.get("name") instanceof String podName
                && claims.getSubject().equals(subject(namespace, name))) {
            Instant expiresAt = Instant.ofEpochSecond(claims.getExpirationTime().getValue());
            return new TokenVerification.Verified(namespace, name, podName, expiresAt);
        }
        return new TokenVerification.Invalid("The token is not the projected service-account token of a pod");
    }

    private static TokenVerification failure(InvalidJwtException e) {
        try {
            if (e.hasExpired()) {
                long since = e.getJwtContext().getJwtClaims().getExpirationTime().getValue();
                return new TokenVerification.Expired(Instant.ofEpochSecond(since));
            }
        } catch (MalformedClaimException malformed) {
            e.addSuppressed(malformed);
        }
        // The exception's own message contains the claims, which an error of EKS Auth does not.
        return new TokenVerification.Invalid(e.getErrorDetails().get(0).getErrorMessage());
    }

    private static PublicJsonWebKey publicKey(JsonWebSignature signature) throws UnresolvableKeyException {
        for (Algorithm algorithm : Algorithm.values()) {
            PublicJsonWebKey key = key(algorithm);
            if (key.getKeyId().equals(signature.getKeyIdHeaderValue())
                    && key.getAlgorithm().equals(signature.getAlgorithmHeaderValue())) {
                return key;
            }
        }
        throw new UnresolvableKeyException("The token is signed with a key that the cluster does not have");
    }

    private static String subject(String namespace, String serviceAccount) {
        return "system:serviceaccount:" + namespace + ":" + serviceAccount;
    }

    /** Returns a constant UID for each name, like that of an object. */
    private static String uid(String name) {
        return UUID.nameUUIDFromBytes(name.getBytes(StandardCharsets.UTF_8)).toString();
    }

    private static NumericDate date(Instant instant) {
        return NumericDate.fromSeconds(instant.getEpochSecond());
    }

    /** Names a key as an API server does: by a hash of its DER encoding. */
    private static PublicJsonWebKey named(PublicJsonWebKey key, Algorithm algorithm) {
        key.setAlgorithm(algorithm.name());
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(key.getPublicKey().getEncoded());
            key.setKeyId(Base64.getUrlEncoder().withoutPadding().encodeToString(hash));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
        return key;
    }

    /** Holds the RSA key, which is generated on first use. */
    private static final class RsaKey {

        private static final PublicJsonWebKey KEY = make();

        private static PublicJsonWebKey make() {
            try {
                return named(RsaJwkGenerator.generateJwk(2048), Algorithm.RS256);
            } catch (JoseException e) {
                throw new IllegalStateException("Cannot make an RSA key", e);
            }
        }
    }

    /** Holds the EC key, which is generated on first use. */
    private static final class EcKey {

        private static final PublicJsonWebKey KEY = make();

        private static PublicJsonWebKey make() {
            try {
                return named(EcJwkGenerator.generateJwk(EllipticCurves.P256), Algorithm.ES256);
            } catch (JoseException e) {
                throw new IllegalStateException("Cannot make an EC key", e);
            }
        }
    }
}
