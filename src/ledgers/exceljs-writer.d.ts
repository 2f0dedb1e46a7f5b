declare module 'exceljs/lib/stream/xlsx/workbook-writer.js' {
  import type ExcelJS from 'exceljs'

  /** The part of exceljs that writes workbooks as a stream; its types know only the whole. */
  const WorkbookWriter: typeof ExcelJS.stream.xlsx.WorkbookWriter
  export = WorkbookWriter
}
