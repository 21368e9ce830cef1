import com.pixelmed.validate.DicomSRValidator;

/**
 * Says what PixelMed finds in each of several files: the first takes ten seconds, others two.
 *
 * <p>Each by a validator of its own: one that is used again tells of the first file once more.
 */
class ValidateReports {
  public static void main(String[] files) throws Exception {
    for (String file : files) {
      System.out.println("== " + file);
      System.out.println(new DicomSRValidator().validate(file));
    }
  }
}
