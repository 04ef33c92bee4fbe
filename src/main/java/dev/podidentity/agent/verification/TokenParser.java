package dev.podidentity.agent.verification;

import io.smallrye.jwt.algorithm.SignatureAlgorithm;
import io.smallrye.jwt.auth.principal.DefaultJWTTokenParser;
import io.smallrye.jwt.auth.principal.JWTAuthContextInfo;
import io.smallrye.jwt.auth.principal.ParseException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.spec.RSAKeyGenParameterSpec;
import java.util.Base64;
import java.util.Set;
import org.jose4j.jwt.consumer.ErrorCodes;
import org.jose4j.jwt.consumer.InvalidJwtException;
import org.jose4j.jwt.consumer.InvalidJwtSignatureException;
import org.jose4j.keys.RsaKeyUtil;
import org.jose4j.lang.JoseException;

/**
 * SmallRye JWT's parser with a single key and the single algorithm that the token may use with it: the token can choose
 * nothing, and nothing is fetched. On a JVM the first call takes 100 ms or more, because jose4j then creates all its
 * algorithms. Has no state except its configuration; any thread.
 *
 * <p>The parser uses the system clock, but verdicts are cached. It therefore accepts a token of any time, and the token's
 * times are compared with the agent's clock at each use ({@link Judgement#at}).
 */
final class TokenParser {

    /** In seconds; about 68 years. */
    private static final int ANY_TIME = Integer.MAX_VALUE;
    /** Kubernetes' tokens have an {@code iat}, but nothing here depends on it. */
    private static final long NO_LIFETIME = 0;

    private static final int RSA_BITS = 2048;

    private final DefaultJWTTokenParser parser = new DefaultJWTTokenParser();
    private final String audience;

    /** @param audience the audience that tokens must name */
    TokenParser(String audience) {
        this.audience = audience;
    }

    enum Outcome {
        GENUINE,
        /** The key has signed it, but it names another issuer. */
        OTHER_ISSUER,
        /** The key has signed it, but no cluster issues such claims. */
        BAD_CLAIMS,
        /** The key has not signed it. */
        NOT_SIGNED
    }

    /**
     * Verifies a token. Takes from 40 µs (RSA of 2,048 bits) to 2 ms (P-384), which suits a worker.
     *
     * @param raw a compact JWT of three parts
     */
    Outcome parse(String raw, VerificationKey key, SigningAlgorithm algorithm, String issuer) {
        JWTAuthContextInfo context = new JWTAuthContextInfo();
        context.setPublicVerificationKey(key.key());
        context.setSignatureAlgorithm(Set.of(SignatureAlgorithm.fromAlgorithm(algorithm.name())));
        context.setIssuedBy(issuer);
        context.setExpectedAudience(Set.of(audience));
        context.setClockSkew(ANY_TIME);
        context.setMaxTimeToLiveSecs(NO_LIFETIME);
        try {
            parser.parse(raw, context);
            return Outcome.GENUINE;
        } catch (ParseException e) {
            // Must not be logged: the messages of its causes contain the token.
            return e.getCause() instanceof InvalidJwtException invalid ? outcome(invalid) : Outcome.NOT_SIGNED;
        }
    }

    /**
     * Does in advance what the first token would otherwise wait for: loads the parser and creates jose4j's algorithms. Takes
     * 100 ms or more on a JVM.
     */
    static void load() {
        BigInteger modulus = BigInteger.ONE.setBit(RSA_BITS - 1);
        try {
            VerificationKey key = new VerificationKey(
                    "none", new RsaKeyUtil().publicKey(modulus, RSAKeyGenParameterSpec.F4), Set.of(SigningAlgorithm.RS256));
            new TokenParser("nobody").parse(unsigned(), key, SigningAlgorithm.RS256, "nobody");
        } catch (JoseException e) {
            throw new IllegalStateException("The platform has no RSA", e);
        }
    }

    private static String unsigned() {
        Base64.Encoder encoder = Base64.getUrlEncoder().withoutPadding();
        return encoder.encodeToString("{\"alg\":\"RS256\"}".getBytes(StandardCharsets.UTF_8)) + '.'
                + encoder.encodeToString("{}".getBytes(StandardCharsets.UTF_8)) + '.'
                + encoder.encodeToString(new byte[RSA_BITS / Byte.SIZE]);
    }

    /** Claims are checked only after the signature has been verified. An exception about claims has no cause. */
    private static Outcome outcome(InvalidJwtException invalid) {
        if (invalid instanceof InvalidJwtSignatureException || invalid.getCause() != null) {
            return Outcome.NOT_SIGNED;
        }
        return invalid.getErrorDetails().size() == 1 && invalid.hasErrorCode(ErrorCodes.ISSUER_INVALID)
                ? Outcome.OTHER_ISSUER
                : Outcome.BAD_CLAIMS;
    }
}
