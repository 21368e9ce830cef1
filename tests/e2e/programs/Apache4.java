import java.io.File;
import java.io.FileInputStream;
import org.apache.http.HttpEntity;
import org.apache.http.client.methods.HttpPost;
import org.apache.http.entity.ContentType;
import org.apache.http.entity.FileEntity;
import org.apache.http.entity.InputStreamEntity;
import org.apache.http.entity.mime.MultipartEntityBuilder;
import org.apache.http.impl.client.HttpClients;
import org.apache.http.util.EntityUtils;

/** Apache HttpClient 4, by which Mirth Connect sends: a file, a stream, a form. */
class Apache4 {
    public static void main(String[] args) throws Exception {
        var file = new File(args[1]);
        // Mirth names a charset beside any type.
        var type = ContentType.create("application/dicom", "UTF-8");
        var stream = new InputStreamEntity(new FileInputStream(file), type);
        var form = MultipartEntityBuilder.create().addBinaryBody("file", file).build();
        try (var client = HttpClients.createDefault()) {
            for (HttpEntity body : new HttpEntity[] {new FileEntity(file, type), stream, form}) {
                var request = new HttpPost(args[0]);
                request.setEntity(body);
                try (var answer = client.execute(request)) {
                    System.out.println(answer.getStatusLine().getStatusCode());
                    EntityUtils.consume(answer.getEntity());
                }
            }
        }
    }
}
