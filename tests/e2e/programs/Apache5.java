import java.io.File;
import java.io.FileInputStream;
import org.apache.hc.client5.http.classic.methods.HttpPost;
import org.apache.hc.client5.http.entity.mime.MultipartEntityBuilder;
import org.apache.hc.client5.http.impl.classic.HttpClients;
import org.apache.hc.core5.http.ContentType;
import org.apache.hc.core5.http.HttpEntity;
import org.apache.hc.core5.http.io.entity.EntityUtils;
import org.apache.hc.core5.http.io.entity.FileEntity;
import org.apache.hc.core5.http.io.entity.InputStreamEntity;

/** Apache HttpClient 5: a file, a stream, a form. */
class Apache5 {
    public static void main(String[] args) throws Exception {
        var file = new File(args[1]);
        var type = ContentType.create("application/dicom");
        var stream = new InputStreamEntity(new FileInputStream(file), type);
        var form = MultipartEntityBuilder.create().addBinaryBody("file", file).build();
        try (var client = HttpClients.createDefault()) {
            for (HttpEntity body : new HttpEntity[] {new FileEntity(file, type), stream, form}) {
                var request = new HttpPost(args[0]);
                request.setEntity(body);
                client.execute(request, answer -> {
                    System.out.println(answer.getCode());
                    EntityUtils.consume(answer.getEntity());
                    return null;
                });
            }
        }
    }
}
