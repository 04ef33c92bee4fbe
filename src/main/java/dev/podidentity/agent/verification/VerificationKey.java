package dev.podidentity.agent.verification;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.math.BigInteger;
import java.security.PublicKey;
import java.security.spec.ECFieldFp;
import java.security.spec.ECParameterSpec;
import java.security.spec.EllipticCurve;
import java.util.Base64;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jose4j.keys.EcKeyUtil;
import org.jose4j.keys.EllipticCurves;
import org.jose4j.keys.RsaKeyUtil;
import org.jose4j.lang.JoseException;

/**
 * A public key with which the cluster signs tokens.
 *
 * @param id its {@code kid}
 * @param key the key
 * @param algorithms the algorithms that it may use, by their names in tokens; at least one
 */
record VerificationKey(String id, PublicKey key, Set<SigningAlgorithm> algorithms) {

    /** Members of private and symmetric keys only. */
    private static final Set<String> SECRET = Set.of("d", "p", "q", "dp", "dq", "qi", "oth", "k");

    /**
     * Parses a JSON Web Key (RFC 7517). Ignores its certificates.
     *
     * @return empty if it is not a key for signing tokens: without {@code kid}, for another use, secret, of a kind or size
     *     that is not allowed, or malformed
     */
    static Optional<VerificationKey> read(JsonObject jwk) {
        if (SECRET.stream().anyMatch(jwk::containsKey) || !forSignatures(jwk)) {
            return Optional.empty();
        }
        Optional<String> id = text(jwk, "kid").filter(kid -> !kid.isEmpty());
        Optional<PublicKey> key = publicKey(jwk);
        if (id.isEmpty() || key.isEmpty()) {
            return Optional.empty();
        }
        Set<SigningAlgorithm> algorithms = SigningAlgorithm.of(key.get()).stream()
                .filter(one -> !jwk.containsKey("alg") || one.name().equals(jwk.getValue("alg")))
                .collect(Collectors.toUnmodifiableSet());
        return algorithms.isEmpty()
                ? Optional.empty()
                : Optional.of(new VerificationKey(id.get(), key.get(), algorithms));
    }

    /** Returns the algorithm of that name, if this key may use it. */
    Optional<SigningAlgorithm> algorithm(String name) {
        return algorithms.stream().filter(one -> one.name().equals(name)).findAny();
    }

    private static boolean forSignatures(JsonObject jwk) {
        boolean use = !jwk.containsKey("use") || "sig".equals(jwk.getValue("use"));
        boolean operations = !jwk.containsKey("key_ops")
                || jwk.getValue("key_ops") instanceof JsonArray operation && operation.contains("verify");
        return use && operations;
    }

    private static Optional<PublicKey> publicKey(JsonObject jwk) {
        try {
            return switch (text(jwk, "kty").orElse("")) {
                case "RSA" -> rsa(jwk);
                case "EC" -> ellipticCurve(jwk);
                default -> Optional.empty();
            };
        } catch (JoseException e) {
            return Optional.empty();
        }
    }

    private static Optional<PublicKey> rsa(JsonObject jwk) throws JoseException {
        Optional<BigInteger> modulus = number(jwk, "n");
        Optional<BigInteger> exponent = number(jwk, "e");
        return modulus.isPresent() && exponent.isPresent()
                ? Optional.of(new RsaKeyUtil().publicKey(modulus.get(), exponent.get()))
                : Optional.empty();
    }

    private static Optional<PublicKey> ellipticCurve(JsonObject jwk) throws JoseException {
        Optional<ECParameterSpec> curve = text(jwk, "crv").map(EllipticCurves::getSpec);
        Optional<BigInteger> x = number(jwk, "x");
        Optional<BigInteger> y = number(jwk, "y");
        return curve.isPresent() && x.isPresent() && y.isPresent() && on(curve.get().getCurve(), x.get(), y.get())
                ? Optional.of(new EcKeyUtil().publicKey(x.get(), y.get(), curve.get()))
                : Optional.empty();
    }

    /**
     * The platform accepts a point that is not on the curve, and throws undeclared exceptions if a coordinate is too large.
     */
    private static boolean on(EllipticCurve curve, BigInteger x, BigInteger y) {
        if (!(curve.getField() instanceof ECFieldFp field) || x.max(y).compareTo(field.getP()) >= 0) {
            return false;
        }
        BigInteger right = x.pow(3).add(curve.getA().multiply(x)).add(curve.getB());
        return y.pow(2).subtract(right).mod(field.getP()).signum() == 0;
    }

    private static Optional<BigInteger> number(JsonObject jwk, String member) {
        try {
            return text(jwk, member).map(Base64.getUrlDecoder()::decode).map(bytes -> new BigInteger(1, bytes));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private static Optional<String> text(JsonObject jwk, String member) {
        return Stream.ofNullable(jwk.getValue(member))
                .filter(String.class::isInstance)
                .map(String.class::cast)
                .findAny();
    }

    /** Written out, because a native executable interprets these methods of a record, and the keys of an ID form a set. */
    @Override
    public boolean equals(Object other) {
        return other instanceof VerificationKey that
                && id.equals(that.id)
                && key.equals(that.key)
                && algorithms.equals(that.algorithms);
    }

    @Override
    public int hashCode() {
        return 31 * id.hashCode() + key.hashCode();
    }
}
