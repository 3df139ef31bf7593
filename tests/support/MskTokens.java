import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/**
 * A broker's part of signing in to MSK by IAM: what is in the token, and its signature (Signature Version 4) worked out
 * again. Amazon asks IAM whose the key is; here it is in the variables MSK_KEY, MSK_SECRET, MSK_SESSION and MSK_REGION.
 * No token is taken for longer than MSK_SECONDS after it was made, and whoever signed in by it has to do it again then.
 */
public final class MskTokens implements AuthenticateCallbackHandler {
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);

  @Override
  public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) {}

  @Override
  public void close() {}

  @Override
  public void handle(Callback[] callbacks) throws UnsupportedCallbackException {
    for (Callback callback : callbacks) {
      if (!(callback instanceof OAuthBearerValidatorCallback asked)) {
        throw new UnsupportedCallbackException(callback);
      }
      try {
        OAuthBearerToken token = verified(asked.tokenValue());
        asked.token(token);
        System.out.println("MSK: signed in with the token of " + token.startTimeMs());
      } catch (Exception refused) {
        System.out.println("MSK: refused: " + refused.getMessage());
        asked.error("invalid_token", null, null);
      }
    }
  }

  private static OAuthBearerToken verified(String text) throws Exception {
    check(!text.contains("="), "the text has no padding");
    URI address = new URI(new String(Base64.getUrlDecoder().decode(text), StandardCharsets.UTF_8));
    String region = System.getenv("MSK_REGION");
    check(address.getScheme().equals("https"), "the scheme");
    check(address.getHost().equals("kafka." + region + ".amazonaws.com"), "the host " + address.getHost());
    check(address.getRawPath().equals("/"), "the path");
    TreeMap<String, String> raw = new TreeMap<>();
    for (String pair : address.getRawQuery().split("&")) {
      String[] parts = pair.split("=", 2);
      check(raw.put(parts[0], parts[1]) == null, parts[0] + " once");
    }
    check(raw.remove("User-Agent") != null, "a user agent");
    String signature = raw.remove("X-Amz-Signature");
    check(value(raw, "Action").equals("kafka-cluster:Connect"), "the action");
    check(value(raw, "X-Amz-Algorithm").equals("AWS4-HMAC-SHA256"), "the algorithm");
    check(value(raw, "X-Amz-SignedHeaders").equals("host"), "the signed headers");
    check(value(raw, "X-Amz-Security-Token").equals(System.getenv("MSK_SESSION")), "the session");
    String at = value(raw, "X-Amz-Date");
    Instant begins = Instant.from(TIME.parse(at));
    long lives = Long.parseLong(value(raw, "X-Amz-Expires"));
    check(lives > 0 && lives <= 900, "a life of at most 900 s");
    lives = Math.min(lives, Long.parseLong(System.getenv("MSK_SECONDS")));
    check(Instant.now().isBefore(begins.plusSeconds(lives)), "it has not ended");
    check(begins.isBefore(Instant.now().plusSeconds(60)), "it has begun");
    List<String> scope = List.of(at.substring(0, 8), region, "kafka-cluster", "aws4_request");
    check(value(raw, "X-Amz-Credential").equals(System.getenv("MSK_KEY") + "/" + String.join("/", scope)), "the key");

    String query = raw.entrySet().stream().map(one -> one.getKey() + "=" + one.getValue()).collect(Collectors.joining("&"));
    String request = String.join("\n", "GET", "/", query, "host:" + address.getHost(), "", "host", hash(""));
    String signed = String.join("\n", "AWS4-HMAC-SHA256", at, String.join("/", scope), hash(request));
    byte[] key = ("AWS4" + System.getenv("MSK_SECRET")).getBytes(StandardCharsets.UTF_8);
    for (String part : scope) {
      key = mac(key, part);
    }
    check(Arrays.equals(HexFormat.of().parseHex(signature), mac(key, signed)), "the signature");
    return token(text, begins.toEpochMilli(), begins.plusSeconds(lives).toEpochMilli());
  }

  private static String value(Map<String, String> raw, String name) {
    check(raw.containsKey(name), "a " + name);
    return URLDecoder.decode(raw.get(name), StandardCharsets.UTF_8);
  }

  private static void check(boolean holds, String what) {
    if (!holds) {
      throw new IllegalArgumentException("expected: " + what);
    }
  }

  private static String hash(String text) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
  }

  private static byte[] mac(byte[] key, String text) throws Exception {
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(key, "HmacSHA256"));
    return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
  }

  private static OAuthBearerToken token(String text, long begins, long ends) {
    return new OAuthBearerToken() {
      @Override
      public String value() {
        return text;
      }

      @Override
      public Set<String> scope() {
        return Set.of();
      }

      @Override
      public long lifetimeMs() {
        return ends;
      }

      @Override
      public String principalName() {
        return "msk";
      }

      @Override
      public Long startTimeMs() {
        return begins;
      }
    };
  }
}
