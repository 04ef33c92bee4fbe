package dev.podidentity.agent.verification;

import dev.podidentity.agent.testing.Tokens;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.util.List;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.jose4j.jwk.JsonWebKey.OutputControlLevel;
import org.jose4j.jwk.PublicJsonWebKey;
import org.jose4j.lang.JoseException;

/** Keys with which a cluster could sign, and tokens signed with them. Created once, because RSA keys take a while. */
public final class SigningKeys {

    public static final KeyPair RSA = rsa(2048);
    public static final KeyPair OTHER_RSA = rsa(2048);
    public static final KeyPair SHORT_RSA = rsa(1024);
    public static final KeyPair P256 = curve("secp256r1");
    public static final KeyPair OTHER_P256 = curve("secp256r1");
    public static final KeyPair P384 = curve("secp384r1");
    public static final KeyPair P521 = curve("secp521r1");

    private SigningKeys() {}

    /** Returns a published key, for modification. */
    public static JsonObject jwk(String id, KeyPair pair) {
        return new JsonObject(params(pair, OutputControlLevel.PUBLIC_ONLY)).put("kid", id).put("use", "sig");
    }

    /** Returns the same key with its private part, which must never be published. */
    public static JsonObject privateJwk(String id, KeyPair pair) {
        return new JsonObject(params(pair, OutputControlLevel.INCLUDE_PRIVATE)).put("kid", id).put("use", "sig");
    }

    private static Map<String, Object> params(KeyPair pair, OutputControlLevel level) {
        try {
            PublicJsonWebKey jwk = PublicJsonWebKey.Factory.newPublicJwk(pair.getPublic());
            jwk.setPrivateKey(pair.getPrivate());
            return jwk.toParams(level);
        } catch (JoseException e) {
            throw new IllegalStateException("Not a key for a JWK", e);
        }
    }

    public static String jwks(JsonObject... keys) {
        return new JsonObject().put("keys", new JsonArray(List.of(keys))).encode();
    }

    public static JsonObject header(String algorithm, String keyId) {
        return new JsonObject().put("alg", algorithm).put("kid", keyId);
    }

    /** Returns a token signed with the {@code alg} of its header. */
    public static String sign(JsonObject header, JsonObject claims, PrivateKey key) {
        return sign(header.encode(), claims.encode(), header.getString("alg"), key);
    }

    public static String sign(String header, String claims, String algorithm, PrivateKey key) {
        String signed = Tokens.base64(header) + '.' + Tokens.base64(claims);
        return signed + '.' + Tokens.base64(signature(algorithm, key, signed.getBytes(StandardCharsets.US_ASCII)));
    }

    private static byte[] signature(String algorithm, PrivateKey key, byte[] signed) {
        String bits = algorithm.substring(2);
        try {
            Signature signature = Signature.getInstance(
                    algorithm.startsWith("RS") ? "SHA" + bits + "withRSA" : "SHA" + bits + "withECDSAinP1363Format");
            signature.initSign(key);
            signature.update(signed);
            return signature.sign();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("Cannot sign", e);
        }
    }

    /** Returns a token with an HMAC as its signature. */
    public static String mac(JsonObject header, JsonObject claims, byte[] secret) {
        String signed = Tokens.base64(header.encode()) + '.' + Tokens.base64(claims.encode());
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(secret, "HmacSHA256"));
            return signed + '.' + Tokens.base64(mac.doFinal(signed.getBytes(StandardCharsets.US_ASCII)));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("Cannot make an HMAC", e);
        }
    }

    private static KeyPair rsa(int bits) {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
            generator.initialize(bits);
            return generator.generateKeyPair();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("Cannot make an RSA key", e);
        }
    }

    private static KeyPair curve(String name) {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
            generator.initialize(new ECGenParameterSpec(name));
            return generator.generateKeyPair();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("Cannot make an EC key", e);
        }
    }
}
